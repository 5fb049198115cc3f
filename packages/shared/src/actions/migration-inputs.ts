import { DRIZZLE_TABLE, findMigration, lookAtMigrations, UnusableFolderError } from '../drizzle/index.js';
import { ExplainedError } from '../errors/index.js';
import { durationInput, patternInput, showGiven, type InputProblem } from './inputs.js';

const MAX_SERVER_TIMEOUT_MS = 2 ** 31 - 1; // PostgreSQL keeps its timeouts in 32 bits

const SQL_NAME = { pattern: /^[^\0]{1,63}$/, accepted: 'a name of at most 63 characters' } as const;

/** How migrations are applied, wherever that happens. */
export const migrationInputs = {
  'migrations-schema': patternInput({
    description: "Schema of drizzle's own table, as in the `migrations` part of drizzle.config.",
    default: DRIZZLE_TABLE.schema,
    ...SQL_NAME,
  }),
  'migrations-table': patternInput({
    description: "Name of drizzle's own table, as in the `migrations` part of drizzle.config.",
    default: DRIZZLE_TABLE.table,
    ...SQL_NAME,
  }),
  'lock-wait': durationInput({
    description: 'How long to wait for another run that works on the same tenant before skipping it as `locked`.',
    default: '60s',
    maxMs: MAX_SERVER_TIMEOUT_MS,
  }),
  'lock-timeout': durationInput({
    description:
      "How long a statement may wait for a table lock. Customers' queries queue behind it, so keep it short (PostgreSQL's `lock_timeout`).",
    default: '5s',
    maxMs: MAX_SERVER_TIMEOUT_MS,
  }),
  'statement-timeout': durationInput({
    description: "How long one statement may run (PostgreSQL's `statement_timeout`).",
    default: '15m',
    maxMs: MAX_SERVER_TIMEOUT_MS,
  }),
} as const;

/**
 * Finds what is wrong about the folder of migrations and the inputs that name one of them, for the check of all inputs.
 *
 * @param named by the name of the input: a migration, or the beginning of its name; undefined when it was not given.
 */
export function migrationsFolderProblems(
  folder: string,
  named: Readonly<Record<string, string | undefined>> = {},
): InputProblem[] {
  try {
    const look = lookAtMigrations(folder);
    return Object.entries(named).flatMap(([input, tag]) => (tag === undefined ? [] : tagProblems(input, tag, look)));
  } catch (thrown) {
    if (!(thrown instanceof UnusableFolderError)) throw thrown;
    const accepted = ['a folder that drizzle-kit generate writes', thrown.hint].filter((part) => part !== undefined);
    const given = `${showGiven(folder)}, and ${thrown.why}`;
    return [{ input: 'migrations-folder', given, accepted: accepted.join('. ') }];
  }
}

function tagProblems(input: string, tag: string, look: ReturnType<typeof lookAtMigrations>): InputProblem[] {
  try {
    findMigration(look, tag);
    return [];
  } catch (thrown) {
    if (!(thrown instanceof ExplainedError)) throw thrown;
    const accepted = ['the name of a migration in the folder, or a beginning that only one has', thrown.hint];
    const why = thrown.message.replace(/; nothing was done$/, '');
    return [
      {
        input,
        given: `${showGiven(tag)}, and ${why}`,
        accepted: accepted.filter((part) => part !== undefined).join('. '),
      },
    ];
  }
}
