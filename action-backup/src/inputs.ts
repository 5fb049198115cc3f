import { COMPRESSIONS, DUMP_FORMATS, OBJECT_SUFFIXES } from '@neon-fleet/shared/backups';
import {
  booleanInput,
  catalogInputs,
  catalogOutputs,
  catalogProblems,
  choiceInput,
  commentInputs,
  commentProblems,
  commonOutputs,
  concurrencyInput,
  durationInput,
  gateOutputs,
  InputError,
  integerInput,
  linesInput,
  locationInputs,
  migrationInputs,
  neonInputs,
  parsedInput,
  parseMoment,
  patternInput,
  planFileInputs,
  planFileProblems,
  planOutputs,
  readInputs,
  rolloutInputs,
  runInputs,
  selectionInputs,
  shardingInputs,
  sourceInputs,
  storageInputs,
  textInput,
  type InputDefinition,
  type InputDefinitions,
  type InputProblem,
  type InputValues,
  type OutputDefinitions,
} from '@neon-fleet/shared/actions';
import { parseRetention, RETENTION_WORDS, type RetentionPolicy } from '@neon-fleet/shared/fleet';
import { KMS_KEY } from '@neon-fleet/shared/s3';
import { z } from 'zod';

import { ALLOWED_ARGUMENT_WORDS, isAllowedArgument } from './dump/dump-options.js';
import { problemsTogether } from './inputs-together.js';
import { PLACEHOLDERS } from './restore/target-template.js';
import { parseArchivePlace } from './storage/archive.js';

/** An input that only some commands need: `action.yml` cannot say so, `readBackupInputs` does. */
function neededBySome<T>(definition: InputDefinition<T>, which: string): InputDefinition<T | undefined> {
  return { ...definition, description: `${definition.description} ${which}`, required: false };
}

const NEEDED_TO_RUN = 'Needed for `run`, `plan` and `apply`.';

/** A policy of retention; undefined when nothing is to be deleted. */
function retentionInput(description: string): InputDefinition<RetentionPolicy | undefined> {
  const schema = z.string().transform((text, context): RetentionPolicy => {
    try {
      return parseRetention(text);
    } catch {
      context.addIssue({ code: 'custom', message: 'not a policy' });
      return z.NEVER;
    }
  });
  return { description, accepted: RETENTION_WORDS, required: false, secret: false, schema };
}

/** Which of how many equal parts of the tenants a job takes. */
export interface Part {
  readonly number: number;
  readonly of: number;
}

/** @throws Error for what is no part */
function parsePart(text: string): Part {
  const [, number = 0, of = 0] = (/^(\d{1,3})\/(\d{1,3})$/.exec(text) ?? []).map(Number);
  if (number < 1 || number > of) throw new Error('not a part');
  return { number, of };
}

/** Arguments of pg_dump, each of them allowed. */
function argumentsInput(description: string): InputDefinition<readonly string[] | undefined> {
  const schema = z
    .string()
    .transform((text) => text.split('\n').map((line) => line.trim()))
    .transform((lines) => lines.filter((line) => line !== ''))
    .refine((lines) => lines.every(isAllowedArgument));
  return { description, accepted: ALLOWED_ARGUMENT_WORDS, required: false, secret: false, schema };
}

export const COMMANDS = ['run', 'plan', 'apply', 'report', 'restore', 'verify', 'prune', 'list', 'erase'] as const;

export const inputs = {
  command: choiceInput(COMMANDS, {
    description:
      '`run` backs up every selected tenant; `restore` brings a tenant back, or many; `verify` proves that backups restore; `prune` is retention alone; `list` tells what there is; `erase` removes all backups of one tenant. These need S3 only. `plan`, `apply` and `report` spread a run over many jobs.',
    default: 'run',
  }),
  ...neonInputs,
  'neon-api-key': neededBySome(
    neonInputs['neon-api-key'],
    `${NEEDED_TO_RUN} Also for \`restore\` into a new branch or project, and \`verify-in: branch\`. With it \`list\` also knows who has no backup at all, and whose project is gone.`,
  ),
  'fleet-file': textInput({
    description:
      'Path of `fleet.yml`: its tenants are backed up, each by its own policy (`backup`: every, retention, bucket, prefix, aws-region, kms-key), else by the inputs. All commands look where each tenant is kept. `apply` needs only the plan.',
    accepted: 'the path of a fleet file',
  }),
  tenants: neededBySome(
    selectionInputs.tenants,
    'Needed for `run`, `plan` and `prune` without `fleet-file`; else it narrows; for `restore` it restores many at once. Where only S3 is asked, names are those of the last backup.',
  ),
  ...sourceInputs,
  ...catalogInputs,
  ...locationInputs,
  database: textInput({
    description: "Database of each tenant; `'*'` for every one of each project. Default: Neon's own default, `neondb`.",
  }),
  ...storageInputs,
  sse: choiceInput(['AES256', 'aws:kms', 'aws:kms:dsse'], {
    description: "Encryption at rest. Default: the bucket's own.",
  }),
  'kms-key-id': patternInput({
    description: 'Key of KMS for `sse: aws:kms`.',
    pattern: KMS_KEY,
    accepted: 'the id, alias or ARN of a key',
  }),
  'storage-class': patternInput({
    description: "Storage class of dumps and manifests, such as `STANDARD_IA`. Default: the bucket's own.",
    pattern: /^[A-Z_]{2,40}$/,
    accepted: 'a storage class in capitals, such as STANDARD_IA or GLACIER_IR',
  }),
  'object-lock-mode': choiceInput(['GOVERNANCE', 'COMPLIANCE'], {
    description: 'Let nobody delete a backup for `object-lock-days`. The bucket must have Object Lock.',
  }),
  'object-lock-days': integerInput({ description: 'For how many days, see `object-lock-mode`.', min: 1, max: 36_500 }),
  tags: booleanInput({
    description: 'Tag dumps with tenant, database and version of the schema. The role needs `s3:PutObjectTagging`.',
    default: 'false',
  }),
  'report-to': parsedInput(parseArchivePlace, {
    description:
      'Where to keep a copy of each report with actor, commit and plan, for audits that outlive artifacts: `s3://bucket/folder`.',
    accepted: 's3://bucket/folder',
  }),
  retention: retentionInput(
    'Which backups are kept: by age (`7d`), number (`last=10`), or by period as restic counts them (`24h/7d/8w/12m/5y`). The newest good one always stays. Default: nothing is ever deleted. Needed for `prune`.',
  ),
  'orphan-age': durationInput({
    description:
      'From which age on a dump without manifest, or an unfinished upload, is cleared as garbage. What an earlier attempt of the same run left is cleared at once.',
    default: '24h',
  }),
  verify: choiceInput(['restore', 'checksum'], {
    description:
      "How `verify` proves a backup: `restore` loads it into a PostgreSQL of the job's own, and compares rows, sequences and schema with what was recorded; `checksum` reads it against its manifest.",
    default: 'restore',
  }),
  'verify-in': choiceInput(['runner', 'branch'], {
    description:
      "Where `verify: restore` loads a backup: into a PostgreSQL of the job's own, or into a new branch of the tenant's project, which is deleted again and needs `neon-api-key`.",
    default: 'runner',
  }),
  'verify-every': durationInput({
    description:
      '`verify` takes only tenants whose last drill that passed is older than this, such as `30d`. Default: all that are selected.',
  }),
  'dry-run': booleanInput({
    description: '`prune` only lists what would go, and why each of the rest stays.',
    default: 'false',
  }),
  'max-age': durationInput({
    description:
      '`list` is red when a tenant has no backup younger than this, such as `26h`. Default: ages are told and not judged.',
  }),
  format: choiceInput(DUMP_FORMATS, {
    description:
      '`plain` is SQL, which any psql reads; `custom` is for pg_restore, and is restored with several connections at once.',
    default: 'plain',
  }),
  compression: choiceInput(COMPRESSIONS, {
    description:
      '`gzip` of a plain dump uses all cores; `zstd` needs a runtime that has it, as node24 does; a custom dump is compressed by pg_dump itself.',
    default: 'gzip',
  }),
  'compression-level': integerInput({
    description:
      'Level of compression, from 1 (fast) to 9 (small). With gzip, 6 makes backups of text 6 to 15 % smaller than 1 and takes about twice the processor time.',
    min: 1,
    max: 9,
    default: '1',
  }),
  'exclude-tables': linesInput({
    description: 'Tables to leave out, one pattern of pg_dump a line, such as `audit.*`.',
  }),
  'exclude-table-data': linesInput({
    description: 'Tables of which only the definition is dumped, one pattern of pg_dump a line.',
  }),
  schemas: linesInput({ description: 'Dump these schemas only, one pattern of pg_dump a line.' }),
  'extra-args': argumentsInput(
    'Further options for pg_dump, one a line, out of those that leave a backup a backup, such as `--no-comments`.',
  ),
  'row-counts': choiceInput(['exact', 'none'], {
    description: 'Whether the rows of every table are counted into the manifest, so that a drill can compare them.',
    default: 'exact',
  }),
  's3-max-parts': integerInput({
    description:
      'How many parts of one upload the store takes, when fewer than the 10,000 of Amazon: Scaleway takes 1,000.',
    min: 10,
    max: 10_000,
    default: '10000',
  }),
  every: durationInput({
    description:
      'Leave out tenants whose newest good backup is younger than this (a little slack included): however often the workflow runs, each is backed up when it is due.',
  }),
  'look-every': durationInput({
    description:
      'How often somebody looks who is due: a policy that is shorter is an error of `plan`. Default: by the crons of the workflow, where it is checked out.',
  }),
  'skip-unchanged': booleanInput({
    description:
      'Leave a tenant asleep that nobody has used since its newest backup, by what Neon says of its compute. `list` counts it as covered.',
    default: 'false',
  }),
  'max-skip': durationInput({
    description: 'With `skip-unchanged`: after how long a backup is made even so.',
    default: '7d',
  }),
  'suspend-after': booleanInput({
    description:
      'Suspend computes that this run has woken as soon as their backup is done, unless somebody else is connected. Those that ran before are left alone.',
    default: 'false',
  }),
  retries: integerInput({
    description: 'How many times more a tenant that failed is tried, each time from its start.',
    min: 0,
    max: 10,
    default: '0',
  }),
  'lock-wait': durationInput({
    description: 'How long to wait for a migration that works on the same tenant before skipping it as `locked`.',
    default: '60s',
    maxMs: 3_600_000,
  }),
  backup: textInput({
    description:
      'What to restore: the key of a backup, or `latest` together with `tenant`. Needed for `restore`, unless `at` is set.',
    accepted: `the key of a backup (it ends with ${OBJECT_SUFFIXES.join(', ')}), or latest`,
  }),
  tenant: textInput({
    description:
      'Whose latest backup to restore: the id of a project, or its exact name as the manifests have it. The project itself may be gone.',
    accepted: 'the id or the exact name of a project that has a backup',
  }),
  at: parsedInput(parseMoment, {
    description:
      "In place of `backup`: this moment of `tenant`, with its offset, such as `2026-11-24T11:45:00+01:00`. Inside the project's history window Neon restores the very moment, into a new branch; otherwise it is the newest backup at or before it.",
    accepted: 'a time with its offset, such as 2026-11-24T11:45:00+01:00 or …Z',
  }),
  'max-gap': durationInput({
    description: 'How much older than `at` a backup may be. A larger gap is refused; raise it to accept one.',
    default: '1h',
  }),
  target: choiceInput(['url', 'branch', 'new-project'], {
    description:
      "Where to restore to: the database of `target-url`, or beside the original, which needs `neon-api-key`: a new branch of the tenant's project (outputs `branch-id`, `host`), or a new project (output `project-id`). Default: `url` when `target-url` is set, else `branch`, or `new-project` when the project is gone.",
  }),
  'target-url': neededBySome(
    textInput({
      description: `Connection URI of the database to restore into: the direct host, as a role that may create objects. With \`tenants\` a template: ${PLACEHOLDERS.map((name) => `\`{${name}}\``).join(', ')} are filled in, percent-encoded.`,
      required: true,
      secret: true,
      accepted: 'postgresql://user:…@host/database',
    }),
    'Needed for `restore` with `target: url`.',
  ),
  part: parsedInput(parsePart, {
    description: 'For `restore` of many over a matrix: which part of them this job takes, such as `2/8`.',
    accepted: 'a number of how many, such as 2/8',
  }),
  'migrate-to': choiceInput(['current'], {
    description:
      "`current` brings what was restored to the fleet's version, as the migrate action does. Needs `migrations-folder`. Default: it stays at the version that it had.",
  }),
  'migrations-folder': textInput({ description: 'Folder of drizzle migrations for `migrate-to`.' }),
  'migrations-schema': migrationInputs['migrations-schema'],
  'migrations-table': migrationInputs['migrations-table'],
  'lock-timeout': migrationInputs['lock-timeout'],
  'statement-timeout': migrationInputs['statement-timeout'],
  'restore-roles': booleanInput({
    description:
      'Bring back roles, memberships and grants as well. Roles that the target does not have are made, with new passwords (output `role-passwords`).',
    default: 'true',
  }),
  jobs: integerInput({
    description: 'How many connections restore a custom dump at the same time. Default: one for each core.',
    min: 1,
    max: 64,
  }),
  'allow-non-empty': booleanInput({
    description: 'Restore although the target has tables, types or functions of its own.',
    default: 'false',
  }),
  confirm: textInput({
    description: 'For `erase`: the id of the project whose backups are removed for ever.',
    accepted: 'the id of the project',
  }),
  waves: rolloutInputs.waves,
  ...shardingInputs,
  ...planFileInputs,
  ...commentInputs,
  ...concurrencyInput('4'),
  ...runInputs,
} as const satisfies InputDefinitions;

export const outputs = {
  ...commonOutputs,
  ...planOutputs,
  ...gateOutputs,
  ...catalogOutputs,
  backups: {
    description: 'The backups that this run made, as a JSON list.',
    example:
      '[{"projectId":"misty-river-123456","database":"neondb","key":"misty-river-123456/neondb/20261124T114500123456789Z.sql.gz","sizeBytes":48213}]',
  },
  list: {
    description:
      'What `list` found, as a JSON list: a tenant with its newest backup, its sizes, and its last drill each.',
    example:
      '[{"projectId":"misty-river-123456","name":"ACME Corp","database":"neondb","backups":12,"totalBytes":580213,"newest":{"key":"…","at":"2026-11-24T11:45:00.123Z","sizeBytes":48213}}]',
  },
  'project-id': {
    description: 'Project that was restored into, where the restore made it or a branch of it.',
    example: 'quiet-meadow-654321',
  },
  'branch-id': { description: 'Branch that a restore has made.', example: 'br-cool-leaf-a1b2c3d4' },
  host: {
    description: 'Host of the branch or project that a restore has made.',
    example: 'ep-calm-sky-a1b2c3d4.eu-central-1.aws.neon.tech',
  },
  'restored-database': {
    description: 'Database that was restored, in the branch or project that the restore has made.',
    example: 'neondb_restored_20261124t114500',
  },
  'connection-uri': {
    description:
      'Secret, masked. Connection to what a restore has made; usable in later steps of the same job, and dropped across jobs.',
    example: 'postgresql://neondb_owner:***@ep-calm-sky-a1b2c3d4.eu-central-1.aws.neon.tech/neondb',
  },
  'restored-by': {
    description: "What a restore came from: `instant` (Neon's own history, the very moment) or `dump`.",
    example: 'instant',
  },
  'role-passwords': {
    description:
      'The passwords of the roles that a restore has made, as a JSON object; for many one of these for each server. Masked: it can be used within the job, and is dropped across jobs.',
    example: '{"app_user":"***"}',
  },
  'restored-from': {
    description: 'Key of the backup that was restored; empty when it was no dump.',
    example: 'misty-river-123456/neondb/20261124T114500123456789Z.sql.gz',
  },
  restored: {
    description: 'What a restore of many has restored, as a JSON list.',
    example:
      '[{"projectId":"misty-river-123456","database":"neondb","key":"misty-river-123456/neondb/20261124T114500123456789Z.sql.gz","place":"db.example.com:5432/misty-river-123456"}]',
  },
} as const satisfies OutputDefinitions;

type Values = InputValues<typeof inputs>;
type Filled<Name extends keyof Values> = Values & { readonly [N in Name]-?: NonNullable<Values[N]> };

/** What a job that backs up needs. */
export type SessionValues = Filled<'neonApiKey'>;
/** The parsed inputs of each command, with what it cannot do without. */
export type RunValues = SessionValues;
export type PlanValues = RunValues;
export type ApplyValues = Filled<'neonApiKey' | 'plan' | 'shard'>;
export type ReportValues = Filled<'plan' | 'reports'>;
export type RestoreValues = Values;
export type RestoreManyValues = Filled<'tenants' | 'targetUrl'>;
export type PruneValues = Values;
export type ListValues = Values;
export type VerifyValues = Values;
export type EraseValues = Filled<'tenant' | 'confirm'>;

export type BackupValues =
  | (RunValues & { readonly command: 'run' | 'plan' })
  | (ApplyValues & { readonly command: 'apply' })
  | (ReportValues & { readonly command: 'report' })
  | (RestoreValues & { readonly command: 'restore' })
  | (PruneValues & { readonly command: 'prune' })
  | (ListValues & { readonly command: 'list' | 'verify' })
  | (EraseValues & { readonly command: 'erase' });

/** What each command cannot do without, besides the bucket; `tenants` and `retention` may stand in the fleet file. */
const NEEDED: Readonly<Record<string, readonly (keyof typeof inputs)[]>> = {
  run: ['neon-api-key', 'tenants'],
  plan: ['neon-api-key', 'tenants'],
  apply: ['neon-api-key', 'plan', 'shard'],
  report: ['plan', 'reports'],
  prune: ['tenants', 'retention'],
  erase: ['tenant', 'confirm'],
};

const IN_FLEET_FILE: ReadonlySet<string> = new Set(['tenants', 'retention']);

/** The fleet file and the catalog both say who takes part: it can only be one of them. */
function sourceProblems(
  values: Parameters<typeof catalogProblems>[0] & { readonly fleetFile?: string | undefined },
): InputProblem[] {
  const problems = catalogProblems(values);
  if (values.source !== 'catalog' || values.fleetFile === undefined) return problems;
  const given = 'catalog together with fleet-file, which says who takes part as well';
  return [...problems, { input: 'source', given, accepted: 'neon, or no fleet-file' }];
}

/**
 * Reads all inputs: which of them are needed depends on the command.
 *
 * @throws InputError with every problem at once.
 */
export function readBackupInputs(read: (name: string) => string): BackupValues {
  const command = read('command').trim() || (inputs.command.default ?? '');
  const problems: InputProblem[] = [];
  for (const name of NEEDED[command] ?? []) {
    if (IN_FLEET_FILE.has(name) && read('fleet-file').trim() !== '') continue;
    if (read(name).trim() === '') problems.push({ input: name, given: 'nothing', accepted: acceptedBy(name) });
  }
  problems.push(...problemsTogether(command, read, acceptedBy));
  let values: Values | undefined;
  try {
    values = readInputs(inputs, read, (given) => [
      ...planFileProblems(given),
      ...sourceProblems(given),
      ...commentProblems(given),
    ]);
  } catch (thrown) {
    if (!(thrown instanceof InputError)) throw thrown;
    problems.push(...thrown.problems);
  }
  if (values === undefined || problems.length > 0) throw new InputError(problems);
  // The problems found above are exactly the gaps between the two types.
  return values as BackupValues;
}

function acceptedBy(name: string): string {
  const definitions: InputDefinitions = inputs;
  return definitions[name]?.accepted ?? 'a value';
}
