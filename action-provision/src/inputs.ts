import {
  commonOutputs,
  concurrencyInput,
  integerInput,
  linesInput,
  locationInputs,
  migrationInputs,
  migrationsFolderProblems,
  neonInputs,
  patternInput,
  runInputs,
  textInput,
  type InputProblem,
  type InputValues,
  type OutputDefinitions,
} from '@neon-fleet/shared/actions';

export const inputs = {
  ...neonInputs,
  name: linesInput({
    description: 'Name of the tenant, which is the name of its Neon project. Several tenants: one name a line.',
    required: true,
    unique: true,
    maxLength: 256,
    accepted: 'a name of at most 256 characters, or several, one a line, each of them once',
  }),
  region: patternInput({
    description: "Region of a project that has to be created, for example `aws-us-east-1`. Default: Neon's own.",
    pattern: /^[a-z]+-[a-z0-9-]+$/,
    accepted: 'a region of Neon, such as aws-us-east-1',
  }),
  'postgres-version': integerInput({
    description: "Major version of PostgreSQL of a project that has to be created. Default: Neon's own.",
    min: 14,
    max: 99,
  }),
  'migrations-folder': textInput({
    description: 'Folder of drizzle migrations that the tenant is brought to. Not set: the database is left as it is.',
  }),
  ...locationInputs,
  ...migrationInputs,
  ...concurrencyInput('4'),
  ...runInputs,
} as const;

export type ProvisionInputs = InputValues<typeof inputs>;

/** Finds what is wrong about inputs that only a look at the checkout can tell. */
export function checkInputs({ migrationsFolder }: Partial<ProvisionInputs>): InputProblem[] {
  return migrationsFolder === undefined ? [] : migrationsFolderProblems(migrationsFolder);
}

export const outputs = {
  ...commonOutputs,
  'project-id': { description: 'Id of the project (one tenant only).', example: 'misty-river-12345678' },
  created: { description: '`true` when this run made the project (one tenant only).', example: 'true' },
  host: {
    description: 'Host of the direct connection (one tenant only).',
    example: 'ep-misty-river-a1b2c3.us-east-1.aws.neon.tech',
  },
  database: { description: 'Name of the database (one tenant only).', example: 'neondb' },
  role: { description: 'Name of the role (one tenant only).', example: 'neondb_owner' },
  'connection-uri': {
    description:
      'Secret, masked. Direct connection, for migrations and dumps; usable in later steps of the same job (one tenant only).',
    example: '***',
  },
  'connection-uri-pooled': {
    description:
      'Secret, masked. Pooled connection, for applications; usable in later steps of the same job (one tenant only).',
    example: '***',
  },
  projects: {
    description:
      'All tenants as JSON: a list of `{ name, projectId, created, host, database, role }`. Holds nothing secret.',
    example: '[{"name":"ACME Corp","projectId":"misty-river-12345678","created":true}]',
  },
} as const satisfies OutputDefinitions;
