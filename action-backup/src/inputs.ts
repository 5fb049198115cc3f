import {
  booleanInput,
  choiceInput,
  commonOutputs,
  concurrencyInput,
  durationInput,
  InputError,
  integerInput,
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

/** An input that only some commands need: `action.yml` cannot say so, `readBackupInputs` does. */
function neededBySome<T>(definition: InputDefinition<T>, which: string): InputDefinition<T | undefined> {
  return { ...definition, description: `${definition.description} ${which}`, required: false };
}

const NEEDED_TO_RUN = 'Needed for `run`.';

export const inputs = {
  command: choiceInput(['run', 'restore'], {
    description:
      '`run` backs up every selected tenant; `restore` loads one backup into `target-url` and needs S3 only.',
    default: 'run',
  }),
  ...neonInputs,
  'neon-api-key': neededBySome(neonInputs['neon-api-key'], NEEDED_TO_RUN),
  tenants: neededBySome(selectionInputs.tenants, NEEDED_TO_RUN),
  ...locationInputs,
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
  retention: patternInput({
    description:
      'How long backups are kept, in days, such as `7d`. The newest good one always stays. Default: nothing is ever deleted.',
    pattern: /^[1-9]\d{0,4}d$/,
    accepted: 'a number of days, such as 7d; leave it out to never delete',
  }),
  'compression-level': integerInput({
    description: 'Level of gzip, from 1 (fast) to 9 (small).',
    min: 1,
    max: 9,
    default: '6',
  }),
  'lock-wait': durationInput({
    description: 'How long to wait for a migration that works on the same tenant before skipping it as `locked`.',
    default: '60s',
    maxMs: 3_600_000,
  }),
  backup: textInput({
    description: 'What to restore: the key of a backup, or `latest` together with `tenant`. Needed for `restore`.',
    accepted: 'the key of a backup (….sql.gz), or latest',
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
      accepted: 'postgresql://user:…@host/database',
    }),
    'Needed for `restore`.',
  ),
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

/**
 * Reads all inputs: which of them are needed depends on the command.
 *
 * @throws InputError with every problem at once.
 */
export function readBackupInputs(read: (name: string) => string): RunValues | RestoreValues {
  const command = read('command').trim() || inputs.command.default;
  const needed: readonly string[] =
    command === 'run' ? ['neon-api-key', 'tenants'] : command === 'restore' ? ['backup', 'target-url'] : [];
  const problems: InputProblem[] = [];
  for (const name of needed) {
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
  return values as RunValues | RestoreValues;
}

function restoreProblems(read: (name: string) => string): InputProblem[] {
  const problems: InputProblem[] = [];
  const backup = read('backup').trim();
  if (backup === 'latest' && read('tenant').trim() === '') {
    problems.push({ input: 'tenant', given: 'nothing', accepted: `${inputs.tenant.accepted} (backup is latest)` });
  }
  if (backup !== '' && backup !== 'latest' && !backup.endsWith('.sql.gz')) {
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
