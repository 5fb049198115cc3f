import {
  booleanInput,
  choiceInput,
  commonOutputs,
  concurrencyInput,
  durationInput,
  InputError,
  integerInput,
  linesInput,
  locationInputs,
  neonInputs,
  patternInput,
  readInputs,
  runInputs,
  selectionInputs,
  textInput,
  urlInput,
  type InputDefinition,
  type InputDefinitions,
  type InputProblem,
  type InputValues,
  type OutputDefinitions,
} from '@neon-fleet/shared/actions';
import { parseConnectionUri } from '@neon-fleet/shared/postgres';
import { z } from 'zod';

import { ALLOWED_ARGUMENT_WORDS, COMPRESSIONS, DUMP_FORMATS, isAllowedArgument } from './dump-options.js';
import { isObjectKey, OBJECT_SUFFIXES } from './keys.js';
import { parseRetention, RETENTION_WORDS, type RetentionPolicy } from './retention-policy.js';

/** An input that only some commands need: `action.yml` cannot say so, `readBackupInputs` does. */
function neededBySome<T>(definition: InputDefinition<T>, which: string): InputDefinition<T | undefined> {
  return { ...definition, description: `${definition.description} ${which}`, required: false };
}

const NEEDED_TO_RUN = 'Needed for `run`.';

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

/** Arguments of pg_dump, each of them allowed. */
function argumentsInput(description: string): InputDefinition<readonly string[] | undefined> {
  const schema = z
    .string()
    .transform((text) => text.split('\n').map((line) => line.trim()))
    .transform((lines) => lines.filter((line) => line !== ''))
    .refine((lines) => lines.every(isAllowedArgument));
  return { description, accepted: ALLOWED_ARGUMENT_WORDS, required: false, secret: false, schema };
}

export const inputs = {
  command: choiceInput(['run', 'restore', 'verify', 'prune', 'list'], {
    description:
      '`run` backs up every selected tenant; `restore` loads one backup into `target-url`; `verify` proves that backups restore; `prune` is retention alone; `list` tells what there is. All but `run` need S3 only.',
    default: 'run',
  }),
  ...neonInputs,
  'neon-api-key': neededBySome(
    neonInputs['neon-api-key'],
    `${NEEDED_TO_RUN} With it \`list\` also knows who has no backup at all, and whose project is gone.`,
  ),
  tenants: neededBySome(
    selectionInputs.tenants,
    'Needed for `run` and `prune`; for `list` and `verify` it narrows. Where only S3 is asked, names are those of the last backup.',
  ),
  ...locationInputs,
  database: textInput({
    description: "Database of each tenant; `'*'` for every one of each project. Default: Neon's own default, `neondb`.",
  }),
  's3-bucket': patternInput({
    description: 'Bucket that the backups are in.',
    required: true,
    pattern: /^[A-Za-z0-9][A-Za-z0-9._-]{1,254}$/,
    accepted: 'the name of a bucket, such as acme-backups',
  }),
  's3-prefix': patternInput({
    description: 'Folder in the bucket, such as `neon/production`. Default: the top of the bucket.',
    pattern: /^\/*(?!\.{1,2}(\/|$))[A-Za-z0-9!_.*'()=-]+(\/(?!\.{1,2}(\/|$))[A-Za-z0-9!_.*'()=-]+)*\/*$/,
    accepted: "folders of letters, digits and ! _ . * ' ( ) = -, separated by single slashes",
  }),
  'aws-region': patternInput({
    description: "Region of the bucket. Default: the environment's, which configure-aws-credentials sets.",
    pattern: /^[a-z0-9-]{1,40}$/,
    accepted: 'the name of a region, such as eu-central-1',
  }),
  's3-endpoint': urlInput({ description: "Address of an S3-compatible store that is not Amazon's." }),
  's3-force-path-style': booleanInput({
    description: 'Name the bucket in the path instead of the host name, as MinIO and others need it.',
    default: 'false',
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
    description: 'Level of compression, from 1 (fast) to 9 (small).',
    min: 1,
    max: 9,
    default: '6',
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
  'lock-wait': durationInput({
    description: 'How long to wait for a migration that works on the same tenant before skipping it as `locked`.',
    default: '60s',
    maxMs: 3_600_000,
  }),
  backup: textInput({
    description: 'What to restore: the key of a backup, or `latest` together with `tenant`. Needed for `restore`.',
    accepted: `the key of a backup (it ends with ${OBJECT_SUFFIXES.join(', ')}), or latest`,
  }),
  tenant: textInput({
    description:
      'Whose latest backup to restore: the id of a project, or its exact name as the manifests have it. The project itself may be gone.',
    accepted: 'the id or the exact name of a project that has a backup',
  }),
  'target-url': neededBySome(
    textInput({
      description:
        'Connection URI of the database to restore into: the direct host, as a role that may create objects.',
      required: true,
      secret: true,
      accepted: 'postgresql://user:password@host/database',
    }),
    'Needed for `restore`.',
  ),
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
  ...concurrencyInput('4'),
  ...runInputs,
} as const satisfies InputDefinitions;

export const outputs = {
  ...commonOutputs,
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
  'role-passwords': {
    description:
      'The passwords of the roles that a restore has made, as a JSON object. Masked: it can be used within the job, and is dropped across jobs.',
    example: '{"app_user":"***"}',
  },
  'restored-from': {
    description: 'Key of the backup that was restored.',
    example: 'misty-river-123456/neondb/20261124T114500123456789Z.sql.gz',
  },
} as const satisfies OutputDefinitions;

type Values = InputValues<typeof inputs>;
type Filled<Name extends keyof Values> = Values & { readonly [N in Name]-?: NonNullable<Values[N]> };

/** The parsed inputs of `run`, with what it cannot do without. */
export type RunValues = Filled<'neonApiKey' | 'tenants'> & { readonly command: 'run' };
/** The parsed inputs of `restore`. */
export type RestoreValues = Filled<'backup' | 'targetUrl'> & { readonly command: 'restore' };
/** The parsed inputs of `prune`. */
export type PruneValues = Filled<'tenants' | 'retention'> & { readonly command: 'prune' };
/** The parsed inputs of `list`. */
export type ListValues = Values & { readonly command: 'list' };
/** The parsed inputs of `verify`. */
export type VerifyValues = Values & { readonly command: 'verify' };
export type BackupValues = RunValues | RestoreValues | PruneValues | ListValues | VerifyValues;

/** What each command cannot do without, besides the bucket. */
const NEEDED: Readonly<Record<string, readonly (keyof typeof inputs)[]>> = {
  run: ['neon-api-key', 'tenants'],
  restore: ['backup', 'target-url'],
  prune: ['tenants', 'retention'],
};

/**
 * Reads all inputs: which of them are needed depends on the command.
 *
 * @throws InputError with every problem at once.
 */
export function readBackupInputs(read: (name: string) => string): BackupValues {
  const command = read('command').trim() || (inputs.command.default ?? '');
  const problems: InputProblem[] = [];
  for (const name of NEEDED[command] ?? []) {
    if (read(name).trim() === '') problems.push({ input: name, given: 'nothing', accepted: acceptedBy(name) });
  }
  problems.push(...(command === 'restore' ? restoreProblems(read) : []));
  let values: Values | undefined;
  try {
    values = readInputs(inputs, read);
  } catch (thrown) {
    if (!(thrown instanceof InputError)) throw thrown;
    problems.push(...thrown.problems);
  }
  if (values === undefined || problems.length > 0) throw new InputError(problems);
  // The problems found above are exactly the gaps between the two types.
  return values as BackupValues;
}

function restoreProblems(read: (name: string) => string): InputProblem[] {
  const problems: InputProblem[] = [];
  const backup = read('backup').trim();
  if (backup === 'latest' && read('tenant').trim() === '') {
    problems.push({ input: 'tenant', given: 'nothing', accepted: `${inputs.tenant.accepted} (backup is latest)` });
  }
  if (backup !== '' && backup !== 'latest' && !isObjectKey(backup)) {
    problems.push({ input: 'backup', given: JSON.stringify(backup.slice(0, 200)), accepted: inputs.backup.accepted });
  }
  const target = read('target-url').trim();
  if (target !== '') {
    try {
      parseConnectionUri(target);
    } catch {
      const given = 'a value that is not shown because it is secret';
      problems.push({ input: 'target-url', given, accepted: inputs['target-url'].accepted });
    }
  }
  return problems;
}

function acceptedBy(name: string): string {
  const definitions: InputDefinitions = inputs;
  return definitions[name]?.accepted ?? 'a value';
}
