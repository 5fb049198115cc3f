import { ExplainedError } from '@neon-fleet/shared/errors';
import { withoutValues } from '@neon-fleet/shared/postgres';
import { exitWords, type ProgramExit } from '@neon-fleet/shared/processes';

const LONGEST_STATEMENT = 160;

/**
 * Turns the error output of psql (with VERBOSITY=verbose and ECHO=errors) into an error that names the statement and the
 * table, and never a value: DETAIL and the values in CONTEXT are customers' rows.
 */
export function psqlError(exit: ProgramExit): ExplainedError {
  const lines = exit.stderr.split('\n');
  const error = findError(lines);
  if (error === undefined && lines.some((line) => line.includes('backslash commands are restricted'))) {
    return new ExplainedError({
      message: 'the dump holds a command for psql itself, which was not carried out; the target was left as it was',
      hint: 'pg_dump writes none: somebody has changed the backup. Who can write to the bucket? Restore another one.',
    });
  }
  if (error === undefined) {
    const said = lines.find((line) => line.startsWith('psql: error:'))?.replace(/^psql: error: /, '');
    return new ExplainedError({
      message: `psql ${exitWords(exit)}${said === undefined ? '' : `: ${said}`}; the target was left as it was`,
    });
  }
  const context = copyContext(lines);
  const statement = lines
    .map((line) => /^(?:psql:.*:\d+: )?STATEMENT:\s+(.*)$/.exec(line)?.[1])
    .find((line) => line !== undefined);
  return new ExplainedError({
    message: [
      withoutValues(error.sqlState, error.message),
      ...(context === undefined ? [] : [`in ${context}`]),
      ...(statement === undefined
        ? []
        : [`in the statement: ${withoutLiterals(statement).slice(0, LONGEST_STATEMENT)}`]),
      'the target was left as it was',
    ].join('; '),
    code: `SQLSTATE ${error.sqlState}`,
    ...hintFor(error),
  });
}

/** What to do when the target has no room left. At Neon this is also what a project's size limit looks like. */
export const DISK_FULL_HINT =
  "The target's disk is full, or the size limit of its Neon project is reached. Give it more room, and run again.";

interface ServerError {
  readonly sqlState: string;
  readonly message: string;
}

function findError(lines: readonly string[]): ServerError | undefined {
  for (const line of lines) {
    // The severity is in the server's language, the code is not.
    const found = /^(?:psql:.*:\d+: )?\S+:\s{1,2}([0-9A-Z]{5}): (.*)$/.exec(line);
    if (found?.[1] !== undefined && !/^0[012]/.test(found[1])) return { sqlState: found[1], message: found[2] ?? '' };
  }
  return undefined;
}

function copyContext(lines: readonly string[]): string | undefined {
  const context = lines.find((line) => /^CONTEXT:\s+COPY /.test(line));
  return context === undefined ? undefined : /COPY [^:]+/.exec(context)?.[0].trim();
}

function withoutLiterals(statement: string): string {
  return statement.replace(/'(?:[^']|'')*('|$)/g, "'…'");
}

function hintFor({ sqlState, message }: ServerError): { hint?: string } {
  if (sqlState === '42704' && message.includes('role')) {
    return { hint: 'The dump names a role that the target does not have. Create it there first.' };
  }
  if (sqlState === '42704') {
    return {
      hint: 'Is the target an older PostgreSQL than the dump? Restore into the same major version or a newer one.',
    };
  }
  if (sqlState === '42501') return { hint: 'The role of target-url may not do this. Use the owner of the database.' };
  if (sqlState === '53100') return { hint: DISK_FULL_HINT };
  if (sqlState.startsWith('53')) return { hint: 'The target has run out of space, memory or connections.' };
  if (sqlState === '0A000' || sqlState === '58P01') {
    return { hint: 'The target does not have an extension that the database uses. Use a server that has it.' };
  }
  return {};
}
