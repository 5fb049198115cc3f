import { explain, ExplainedError, type Explanation } from '../errors/index.js';
import type { RestorePoint, TenantResult } from '../fleet/index.js';
import type { Connection, ConnectionTarget } from '../postgres/index.js';
import { keepsLock, underLock, type LockDatabaseOptions } from './lock-database.js';
import type { MigrationFolder } from './migrations.js';
import { leftBehindWords, recordOf, type Run } from './run-so-far.js';
import { isBackAt, standingOf, standingWords, type Standing } from './standing.js';

export interface PutBackOptions extends Omit<LockDatabaseOptions, 'applicationName'> {
  readonly folder: MigrationFolder;
  /** Puts the database back and says so in words. It ends all sessions of the database, the one with the lock included. */
  readonly rollBack?: ((restorePoint: RestorePoint) => Promise<string>) | undefined;
}

type Failure = TenantResult & { readonly status: 'failed' };

/**
 * Puts a database back to where it was before a run that failed. The tenant's lock is held until the restore itself ends
 * the session that has it, so that no other run can do something in between, which the restore would take away; where the
 * lock was lost, it is taken again, and only what is where this run left it is put back. That it is back is only said after
 * a look.
 *
 * @param connection with the lock; undefined when it is gone.
 */
export async function putBack(
  failure: Failure,
  run: Run,
  target: ConnectionTarget,
  connection: Connection | undefined,
  options: PutBackOptions,
): Promise<TenantResult> {
  const { restorePoint } = run;
  const { rollBack, note } = options;
  if (rollBack === undefined || restorePoint === undefined) {
    return { ...failure, detail: `${failure.detail}; there is no restore point to go back to` };
  }
  note('Putting the database back to where it was before this run.');
  const request = { sent: false };
  const restore = () => {
    request.sent = true;
    return rollBack(restorePoint);
  };
  let words: string;
  try {
    words =
      connection !== undefined && (await keepsLock(connection))
        ? await restore()
        : await relocked(run, target, restore, options);
  } catch (thrown) {
    await connection?.close();
    // A request that failed may have been carried out all the same.
    return notPutBack(failure, thrown, request.sent ? await whereItIs(run, target, options) : leftBehindWords(run));
  }
  // The restore has ended its session; should it have had nothing to do, this lets go of the lock.
  await connection?.close();
  const after = await look(target, options);
  if (after instanceof Error) return notSeen(failure, after, words);
  if (!isBackAt(after, run)) return notWhereItWas(failure, run, words, after);
  const migration = { ...(run.from === undefined ? {} : { from: run.from, to: run.from }), applied: [] };
  return { status: 'rolled-back', detail: `${failure.error.message}; ${words}`, error: failure.error, migration };
}

/** @throws ExplainedError when somebody else has been at it since, or is. */
async function relocked(
  run: Run,
  target: ConnectionTarget,
  restore: () => Promise<string>,
  options: PutBackOptions,
): Promise<string> {
  const words = await underLock(target, named(options), async ({ connection, state }) => {
    const standing = standingOf(options.folder, state);
    if (standing.kind === 'drift' || standing.version !== run.to) throw movedOn(run, standing);
    if (!(await keepsLock(connection))) throw heldByOthers();
    return restore();
  });
  if (words === undefined) throw heldByOthers();
  return words;
}

/** What there is after the restore; an error where that cannot be told. */
async function look(target: ConnectionTarget, options: PutBackOptions): Promise<Standing | Error> {
  try {
    const standing = await underLock(target, named(options), ({ state }) => standingOf(options.folder, state));
    return standing ?? heldByOthers();
  } catch (thrown) {
    return thrown instanceof Error ? thrown : new Error(String(thrown));
  }
}

async function whereItIs(run: Run, target: ConnectionTarget, options: PutBackOptions): Promise<string> {
  const standing = await look(target, options);
  // Of a file that was done in part drizzle's table says nothing.
  if (standing instanceof Error || run.applied.length === 0) return 'where it is now is not known';
  return isBackAt(standing, run) ? `all the same it is back at ${run.from ?? 'no migration'}` : leftBehindWords(run);
}

function named(options: PutBackOptions): LockDatabaseOptions {
  return { ...options, applicationName: 'neon-fleet migrate' };
}

function movedOn({ to }: Run, standing: Standing): ExplainedError {
  return new ExplainedError({
    message: `the connection with its lock was lost, and it is not at ${to ?? 'no migration'} any more, where this run left it: ${standingWords(standing)}`,
    hint: 'Somebody else has been at it since. Look at it before anything else is done; the restore point is in the report.',
  });
}

function heldByOthers(): ExplainedError {
  return new ExplainedError({
    message: 'another run of neon-fleet holds its lock',
    hint: 'Look at the tenant when that run has ended; the restore point is in the report.',
  });
}

/** The failure stays the cause; added are what came after it, and what there is to do, or to know, now. */
function stillFailed(
  failure: Failure,
  { message, hint }: Required<Pick<Explanation, 'message' | 'hint'>>,
  what: string,
): Failure {
  const { code } = failure.error;
  const error = {
    message: `${failure.error.message}; and ${message}`,
    ...(code === undefined ? {} : { code }),
    hint,
  };
  return { ...failure, error, detail: `${error.message}; ${what}` };
}

function notPutBack(failure: Failure, thrown: unknown, what: string): TenantResult {
  const why = explain(thrown);
  const message = `putting the database back failed as well: ${why.message}`;
  const hint = why.hint ?? 'The restore point is in the report; undo goes back to it.';
  return stillFailed(failure, { message, hint }, what);
}

function notSeen(failure: Failure, thrown: unknown, words: string): TenantResult {
  const why = explain(thrown);
  const message = `it was put back, but whether it is back could not be looked at: ${why.message}`;
  const hint = why.hint ?? 'Look at the tenant; the restore point is in the report.';
  return stillFailed(failure, { message, hint }, words);
}

function notWhereItWas(failure: Failure, run: Run, words: string, standing: Standing): TenantResult {
  const message = `it was put back, but is not at ${run.from ?? 'no migration'} again: ${standingWords(standing)}`;
  const hint =
    'Did another run migrate it again at once? Look at it, and at the branch that keeps what it held, before anything else is done.';
  return { ...stillFailed(failure, { message, hint }, words), migration: recordOf(run) };
}
