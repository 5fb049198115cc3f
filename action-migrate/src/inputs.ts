import { existsSync } from 'node:fs';

import {
  booleanInput,
  catalogInputs,
  catalogOutputs,
  catalogProblems,
  choiceInput,
  commonOutputs,
  concurrencyInput,
  gateOutputs,
  integerInput,
  locationInputs,
  migrationInputs,
  migrationsFolderProblems,
  neededBySome,
  neonInputs,
  patternInput,
  planFileInputs,
  planFileProblems,
  planOutputs,
  readCommandInputs,
  rolloutInputs,
  runInputs,
  selectionInputs,
  shardingInputs,
  showGiven,
  sourceInputs,
  textInput,
  type Filled,
  type InputDefinitions,
  type InputProblem,
  type InputValues,
  type OutputDefinitions,
} from '@neon-fleet/shared/actions';

import { baselineInputs } from './baseline/index.js';
import { secretInputProblems } from './check/index.js';
import { engineInputs, kitInputs } from './kit/index.js';
import { RESTORE_POINTS } from './restore-point/take.js';

export const COMMANDS = ['run', 'plan', 'apply', 'report', 'assert', 'baseline', 'check', 'undo'] as const;
export type Command = (typeof COMMANDS)[number];

const TAG = {
  pattern: /^[^\s/\\]{1,255}$/,
  accepted: 'the name of a migration without .sql, such as 0003_add_tasks, or a beginning of it that only one has',
} as const;

export const inputs = {
  command: choiceInput(COMMANDS, {
    description:
      '`run` does all of it in one job. `plan`, `apply` and `report` spread it over many. `assert` tells whether every tenant is at least at `at-least`. `baseline` adopts tenants whose schema came from elsewhere. `check` looks at the migrations themselves, without credentials. `undo` goes back to before a rollout.',
    default: 'run',
  }),
  ...neonInputs,
  'neon-api-key': neededBySome(neonInputs['neon-api-key'], 'Not for `report` and `check`.'),
  tenants: neededBySome(selectionInputs.tenants, 'Needed for `run`, `plan`, `assert` and `baseline`.'),
  ...sourceInputs,
  ...catalogInputs,
  'migrations-folder': textInput({
    description: 'Folder that `drizzle-kit generate` writes.',
    default: './drizzle',
  }),
  to: patternInput({ description: 'Migration to stop at. Default: the newest. Nothing is ever taken back.', ...TAG }),
  'at-least': patternInput({ description: 'For `assert`: the migration that every tenant must have.', ...TAG }),
  'dry-run': booleanInput({
    description:
      'Look at every tenant, show what would be done with its SQL, and change nothing. Default: `false`; for `baseline` it is `true`.',
  }),
  ...locationInputs,
  'on-drift': choiceInput(['skip', 'fail', 'apply'], {
    description:
      'When database and folder contradict each other: `skip` leaves that tenant out, `fail` stops the rollout, `apply` applies migrations that are merely out of order.',
    default: 'skip',
  }),
  transaction: choiceInput(['per-migration', 'all'], {
    description:
      'A transaction for each migration, or one for all that are pending, as drizzle does it. A file that begins with `-- neon-fleet: no-transaction` runs outside of one.',
    default: 'per-migration',
  }),
  ...migrationInputs,
  'post-check': textInput({
    description: 'A query that is asked after migrating, and must give one row with the one value true.',
    accepted: 'one query',
  }),
  'restore-point': choiceInput(RESTORE_POINTS, {
    description:
      '`lsn` notes the position in the log, which costs nothing and is good for as long as the project keeps its history; `branch` makes a branch of each tenant that there is work for, kept for 7 days.',
    default: 'lsn',
  }),
  'on-failure': choiceInput(['keep', 'restore'], {
    description:
      'What to do when a failed migration left something behind: `restore` puts the database back to its restore point. Customers’ writes since then leave it with that, and are kept in a branch.',
    default: 'keep',
  }),
  ...engineInputs,
  ...kitInputs,
  ...baselineInputs,
  ...rolloutInputs,
  ...shardingInputs,
  'max-waves': integerInput({
    description: 'For `plan`: how many waves the workflow has jobs for. More are an error before anything is done.',
    min: 1,
    max: 256,
  }),
  state: choiceInput(['none', 'catalog', 'live'], {
    description:
      'For `plan`: `none` decides without waking a compute; `live` connects to every tenant, so that only those that there is work for are planned; `catalog` takes those for up to date that `catalog-url` says are, without waking them.',
    default: 'none',
  }),
  ...planFileInputs,
  'undo-report': textInput({
    description: 'For `undo`: the report (JSON) of the rollout that is to be taken back.',
    accepted: 'the path of a report',
  }),
  ...concurrencyInput('16'),
  ...runInputs,
} as const satisfies InputDefinitions;

export const outputs = {
  ...commonOutputs,
  ...planOutputs,
  ...gateOutputs,
  ...catalogOutputs,
  lagging: {
    description: 'For `assert`: how many tenants are not yet at `at-least`.',
    example: '3',
  },
} as const satisfies OutputDefinitions;

export type MigrateInputs = InputValues<typeof inputs>;

/** The parsed inputs of a command that works on tenants chosen by patterns. */
export type SelectingInputs = Filled<MigrateInputs, 'neonApiKey' | 'tenants'>;
/** The parsed inputs of a command, with those filled that it cannot do without. */
export type ApplyInputs = Filled<MigrateInputs, 'neonApiKey' | 'plan' | 'shard'>;
export type ReportInputs = Filled<MigrateInputs, 'plan' | 'reports'>;
export type AssertInputs = Filled<SelectingInputs, 'atLeast'>;
export type BaselineInputs = Filled<SelectingInputs, 'at'>;
export type UndoInputs = Filled<MigrateInputs, 'neonApiKey' | 'undoReport'>;

/** The inputs of one run, by what it was asked to do. */
export type CommandInputs =
  | (SelectingInputs & { readonly command: 'run' | 'plan' })
  | (ApplyInputs & { readonly command: 'apply' })
  | (ReportInputs & { readonly command: 'report' })
  | (AssertInputs & { readonly command: 'assert' })
  | (BaselineInputs & { readonly command: 'baseline' })
  | (MigrateInputs & { readonly command: 'check' })
  | (UndoInputs & { readonly command: 'undo' });

/**
 * Reads all inputs: which of them are needed depends on the command.
 *
 * @throws InputError with every problem at once.
 */
export function readMigrateInputs(read: (name: string) => string): CommandInputs {
  const values = readCommandInputs(
    inputs,
    read,
    {
      run: ['neon-api-key', 'tenants'],
      plan: ['neon-api-key', 'tenants'],
      apply: ['neon-api-key', 'plan', 'shard'],
      report: ['plan', 'reports'],
      assert: ['neon-api-key', 'tenants', 'at-least'],
      baseline: ['neon-api-key', 'tenants', 'at'],
      check: [],
      undo: ['neon-api-key', 'undo-report'],
    } satisfies Record<Command, readonly (keyof typeof inputs)[]>,
    (parsed) => [...contradictions(parsed), ...(parsed.command === 'check' ? secretInputProblems(read) : [])],
  );
  // What each command needs is there: that is what the table above says, and what was checked.
  return values as CommandInputs;
}

/** The commands that work with `migrations-folder`; `check` has its own way of finding folders, `report` needs none. */
const WITH_FOLDER: ReadonlySet<Command | undefined> = new Set(['run', 'plan', 'apply', 'assert', 'baseline', 'undo']);

function folderProblems({
  command,
  engine,
  migrationsFolder,
  to,
  at,
  atLeast,
}: Partial<MigrateInputs>): InputProblem[] {
  // drizzle-kit finds the folder, or several, by its own config.
  if (migrationsFolder === undefined || !WITH_FOLDER.has(command)) return [];
  if (engine === 'drizzle-kit' && command !== 'baseline') return [];
  return migrationsFolderProblems(migrationsFolder, {
    to,
    at: command === 'baseline' ? at : undefined,
    'at-least': command === 'assert' ? atLeast : undefined,
  });
}

function undoProblems({ command, undoReport }: Partial<MigrateInputs>): InputProblem[] {
  if (command !== 'undo' || undoReport === undefined || existsSync(undoReport)) return [];
  const given = `${showGiven(undoReport)}, and there is no report to read at this path`;
  return [{ input: 'undo-report', given, accepted: 'the path of the report (JSON) of a rollout' }];
}

function contradictions(values: Partial<MigrateInputs>): InputProblem[] {
  const { command, dryRun, restorePoint, onFailure, engine, onDrift, to } = values;
  const problems: InputProblem[] = [];
  const add = (input: string, given: string, accepted: string) => problems.push({ input, given, accepted });
  if (onFailure === 'restore' && restorePoint === 'none') {
    add('on-failure', 'restore together with restore-point: none', 'keep, or a restore point to go back to');
  }
  if (dryRun === true && command === 'apply') {
    add('dry-run', 'true together with apply, which carries a plan out', 'a dry run of run or plan');
  }
  problems.push(
    ...folderProblems(values),
    ...planFileProblems(values),
    ...undoProblems(values),
    ...catalogProblems(values),
  );
  if (engine === 'drizzle-kit') {
    // drizzle-kit applies all that is pending in one transaction, in the order that it sees, or nothing.
    if (to !== undefined) add('to', 'a migration together with engine: drizzle-kit', 'nothing, or engine: drizzle-orm');
    if (onDrift === 'apply') add('on-drift', 'apply together with engine: drizzle-kit', 'skip or fail');
    if (onFailure === 'restore') add('on-failure', 'restore together with engine: drizzle-kit', 'keep');
  }
  return problems;
}
