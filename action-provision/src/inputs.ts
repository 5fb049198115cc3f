import {
  catalogInputs,
  catalogOutputs,
  catalogProblems,
  booleanInput,
  choiceInput,
  commonOutputs,
  concurrencyInput,
  durationInput,
  integerInput,
  linesInput,
  locationInputs,
  migrationInputs,
  migrationsFolderProblems,
  neededBySome,
  neonInputs,
  parsedInput,
  parseMoment,
  patternInput,
  readCommandInputs,
  runInputs,
  storageInputs,
  textInput,
  type InputProblem,
  type InputValues,
  type OutputDefinitions,
} from '@neon-fleet/shared/actions';

import { BRANCH_ACTIONS } from './branch.js';
import { READY_CHOICES } from './provision-tenant.js';

export const COMMANDS = ['run', 'plan', 'apply', 'import', 'sync', 'status', 'rotate', 'branch', 'retire'] as const;

/** As the API wants it: in UTC, to the second. */
function momentToCome(text: string): string {
  const at = parseMoment(text);
  if (!(at.getTime() > Date.now())) throw new Error('no moment that is still to come');
  return at.toISOString().replace(/\.\d{3}Z$/, 'Z');
}

export const inputs = {
  command: choiceInput(COMMANDS, {
    description:
      '`plan` shows what differs and changes nothing. `run` and `apply`, which are the same here, make it as it should be. `import` writes what the organisation has into the fleet file. `sync` brings the catalog up to date. `status` shows the fleet at a glance. `rotate` gives new passwords. `branch` makes, resets or deletes a branch for development. `retire` deletes the project of a tenant that has left and is backed up.',
    default: 'run',
  }),
  ...neonInputs,
  'fleet-file': textInput({
    description:
      'Path of `fleet.yml`, for all tenants of the file. Not set: the tenants are those of `name`; `import` writes `fleet.yml`.',
  }),
  tenants: linesInput({
    description:
      'Which tenants of the fleet file, or of the catalog and of Neon for `status`: one glob a line, compared with key, name and id. `!` in front takes out. Default: all of them.',
    accepted: 'one glob a line, compared with keys, names and ids',
  }),
  key: patternInput({
    description: 'Your own name for the tenant, which never changes. Default: its name. With a single `name` only.',
    pattern: /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/,
    accepted: 'at most 100 letters, digits and . _ - that begin with a letter or digit',
  }),
  name: linesInput({
    description: 'Name of the tenant, which is the name of its Neon project. Several tenants: one name a line.',
    unique: true,
    maxLength: 256,
    accepted: 'a name of at most 256 characters, or several, one a line, each of them once; or fleet-file instead',
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
  'seed-sql': textInput({
    description:
      'File of SQL that a tenant starts with. It is run once in the life of a database, after the migrations.',
  }),
  ready: choiceInput(READY_CHOICES, {
    description:
      'Which tenants are connected to, migrated and seeded: `all`, which wakes their computes; `recent`, those that are younger than 7 days; `created`, those of this run. Default: `all` with `name`, `recent` with `fleet-file`.',
  }),
  ...locationInputs,
  'application-role': textInput({
    description:
      'Role for the application: it is made when it is missing, may read and write rows in tables of the owner and nothing else, and `github-secret` then holds its URI. Default: none.',
  }),
  'branch-action': choiceInput(BRANCH_ACTIONS, {
    description: 'What `command: branch` does with the `branch` of the one selected project.',
  }),
  'expires-at': parsedInput(momentToCome, {
    description: 'When Neon deletes the branch of `branch-action: create` by itself. Default: never.',
    accepted: 'a moment that is still to come, with its time zone, such as 2027-01-31T12:00:00Z',
  }),
  confirm: textInput({
    description: 'For `retire`: the key of the tenant whose project is deleted, once more.',
    accepted: 'the key of the tenant',
  }),
  'max-backup-age': durationInput({
    description:
      'For `retire`: how old the last backup of each database may be. It must have been restored by `command: verify` of backup.',
    default: '1h',
  }),
  ...storageInputs,
  's3-bucket': neededBySome(storageInputs['s3-bucket'], 'Needed for `retire`.'),
  'recreate-deleted': booleanInput({
    description:
      'Make a new and empty project also for a tenant whose project was deleted a moment ago and can still be recovered.',
    default: 'false',
  }),
  ...migrationInputs,
  'github-secret': patternInput({
    description:
      "Also write each tenant's direct connection URI, that of the application's role when there is one, into a secret of GitHub: its name, or `auto`, which makes one of the key, such as `ACME_DATABASE_URL`.",
    pattern: /^(auto|(?!GITHUB_)[A-Za-z_][A-Za-z0-9_]{0,199})$/i,
    accepted: 'auto, or a name of letters, digits and _ that does not begin with a digit or GITHUB_',
  }),
  'github-token': textInput({
    description: 'Token that may write secrets, for `github-secret`. The `GITHUB_TOKEN` of a job cannot.',
    secret: true,
    accepted: 'a token of GitHub',
  }),
  'github-repository': patternInput({
    description: "Repository of `github-secret`. Default: the workflow's own.",
    pattern: /^[A-Za-z0-9._-]{1,100}\/[A-Za-z0-9._-]{1,100}$/,
    accepted: 'owner/name',
  }),
  'github-environment': textInput({
    description: 'Environment of that repository. Default: none, a secret of the repository.',
  }),
  ...catalogInputs,
  replay: linesInput({
    description: 'Files that the output `catalog-replay` named, one a line: what `sync` tells the catalog late.',
  }),
  privacy: choiceInput(['names', 'ids'], {
    description: 'Whether `status` shows tenants by name, or by the id of their project only.',
    default: 'names',
  }),
  ...concurrencyInput('4'),
  ...runInputs,
} as const;

export type ProvisionInputs = InputValues<typeof inputs>;

/** What each command cannot do without, besides what says whom it is about. */
const NEEDS = {
  run: [],
  plan: [],
  apply: [],
  import: [],
  sync: ['catalog-url'],
  status: [],
  rotate: [],
  branch: ['branch', 'branch-action'],
  retire: ['confirm', 's3-bucket'],
} as const satisfies Record<(typeof COMMANDS)[number], readonly (keyof typeof inputs)[]>;

/** Reads all inputs. @throws InputError with every problem at once. */
export function readProvisionInputs(read: (name: string) => string): ProvisionInputs {
  return readCommandInputs(inputs, read, NEEDS, contradictions);
}

/** Finds what is wrong about inputs taken together. */
function contradictions(values: Partial<ProvisionInputs>): InputProblem[] {
  const { command, fleetFile, name, key, tenants, migrationsFolder } = values;
  return [
    ...(migrationsFolder === undefined ? [] : migrationsFolderProblems(migrationsFolder)),
    ...(fleetFile === undefined &&
    name === undefined &&
    !(['import', 'sync', 'status'] as const).some((each) => each === command)
      ? [{ input: 'name', given: 'nothing', accepted: inputs.name.accepted }]
      : []),
    ...(fleetFile !== undefined && name !== undefined
      ? [
          {
            input: 'name',
            given: 'names together with fleet-file',
            accepted: 'one of the two; with fleet-file, tenants selects',
          },
        ]
      : []),
    ...(key !== undefined && (fleetFile !== undefined || (name ?? []).length > 1)
      ? [{ input: 'key', given: 'a key for more than one tenant', accepted: 'a key together with a single name' }]
      : []),
    ...(command === 'rotate' && fleetFile !== undefined && tenants === undefined
      ? [{ input: 'tenants', given: 'nothing together with rotate', accepted: "globs; '*' for everybody in the file" }]
      : []),
    ...(command === 'branch' || command === 'retire' ? oneTenantProblems(values) : []),
    ...catalogProblems(values),
    ...(values.githubSecret !== undefined && values.githubToken === undefined && command !== 'plan'
      ? [
          {
            input: 'github-token',
            given: 'nothing together with github-secret',
            accepted: inputs['github-token'].accepted,
          },
        ]
      : []),
    ...(values.githubSecret !== undefined && values.githubSecret.toLowerCase() !== 'auto' && (name ?? []).length > 1
      ? [{ input: 'github-secret', given: 'one name for several tenants', accepted: 'auto' }]
      : []),
    ...(tenants !== undefined && fleetFile === undefined && command !== 'status'
      ? [
          {
            input: 'tenants',
            given: 'globs without fleet-file',
            accepted: 'globs together with fleet-file; else use name',
          },
        ]
      : []),
    ...(fleetFile === undefined
      ? []
      : (['region', 'postgresVersion', 'database', 'role', 'applicationRole', 'branch'] as const).flatMap((input) =>
          values[input] === undefined || (input === 'branch' && command === 'branch')
            ? []
            : [
                {
                  input: KEYS_OF_FILE[input] ?? input,
                  given: 'a value together with fleet-file',
                  accepted: 'nothing: write it into the file, under defaults',
                },
              ],
        )),
  ];
}

const KEYS_OF_FILE: Readonly<Record<string, string>> = {
  postgresVersion: 'postgres-version',
  applicationRole: 'application-role',
};

function oneTenantProblems({ name, fleetFile, tenants }: Partial<ProvisionInputs>): InputProblem[] {
  // How many the patterns select shows only against the file.
  const isOne = fleetFile === undefined ? name === undefined || name.length === 1 : tenants !== undefined;
  if (isOne) return [];
  const input = fleetFile === undefined ? 'name' : 'tenants';
  return [{ input, given: 'more than one tenant, or all of them', accepted: 'a single one for this command' }];
}

export const outputs = {
  ...commonOutputs,
  'project-id': { description: 'Id of the project (one tenant only).', example: 'misty-river-12345678' },
  'branch-id': { description: 'Id of the branch (`command: branch`).', example: 'br-misty-river-a1b2c3d4' },
  created: { description: '`true` when this run made the project, or the branch (one tenant only).', example: 'true' },
  'recoverable-until': {
    description: 'Until when Neon can bring the deleted project back (`command: retire`).',
    example: '2026-12-01T12:00:00Z',
  },
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
  'application-uri': {
    description:
      "Secret, masked. Direct connection as the application's role, in the run that gives it a password; empty in others (one tenant only).",
    example: '***',
  },
  'application-uri-pooled': {
    description: "Secret, masked. Pooled connection as the application's role, likewise (one tenant only).",
    example: '***',
  },
  projects: {
    description:
      'All tenants that were reached, as JSON: a list of `{ key, name, projectId, created, host, database, role }`. Holds nothing secret.',
    example: '[{"key":"acme","name":"ACME Corp","projectId":"misty-river-12345678","created":true}]',
  },
  changes: {
    description: 'Number of tenants that differ from what they should be, before this run: the drift.',
    example: '3',
  },
  plan: {
    description: 'Path of the plan as JSON: every tenant with what is to be done. Holds nothing secret.',
    example: '/home/runner/work/_temp/neon-fleet/provision-plan.json',
  },
  'status-html': {
    description: 'Path of the status as one HTML page that needs nothing else (`command: status`).',
    example: '/home/runner/work/_temp/neon-fleet/status.html',
  },
  'status-json': {
    description: 'Path of the status as JSON (`command: status`).',
    example: '/home/runner/work/_temp/neon-fleet/status.json',
  },
  ...catalogOutputs,
} as const satisfies OutputDefinitions;
