import { randomUUID } from 'node:crypto';

import { secretForms } from '@neon-fleet/shared/actions';
import {
  assess,
  driftResult,
  findPostCheckFailure,
  lockedResult,
  readSchemaState,
  underLock,
  type Assessment,
  type LockDatabaseOptions,
  type MigrationFolder,
  type MigrationsTable,
  type OnDrift,
  type SchemaState,
} from '@neon-fleet/shared/drizzle';
import { explain, type Explanation } from '@neon-fleet/shared/errors';
import { stopReasonOf, type MigrationRecord, type RestorePoint, type TenantResult } from '@neon-fleet/shared/fleet';
import {
  connect,
  isConnectionLoss,
  parseConnectionUri,
  type Connection,
  type ConnectionTarget,
  type TrustEnvironment,
} from '@neon-fleet/shared/postgres';
import type { Environment } from '@neon-fleet/shared/processes';

import { kitEnvironment, urlForKit } from './environment.js';
import type { DrizzleKit } from './find-kit.js';
import { hasFailed, kitError, runKit, type KitExit } from './run-kit.js';

export interface DrizzleKitOptions {
  readonly kit: DrizzleKit;
  /** The tenant's drizzle.config, from `cwd`. */
  readonly config: string;
  readonly cwd: string;
  /** What the config's folder holds, and which table it names: for looking before and after. */
  readonly folder: MigrationFolder;
  readonly table: MigrationsTable;
  /** In which variables drizzle-kit finds the URL, see `urlVariables`. */
  readonly urlVariables: readonly string[];
  /** Of this process: what a child may have of it is taken from here. */
  readonly env: Environment & TrustEnvironment;
  /** How long drizzle-kit may take for one tenant. */
  readonly timeLimitMs: number;
  /** Default: `skip`. Only drizzle's own engine can apply what is out of order. */
  readonly onDrift?: Exclude<OnDrift, 'apply'> | undefined;
  readonly lockWaitMs: number;
  readonly lockTimeoutMs: number;
  readonly statementTimeoutMs: number;
  readonly postCheck?: string | undefined;
  readonly readRestorePoint?: ((connection: Connection) => Promise<RestorePoint | undefined>) | undefined;
  readonly authorities: readonly string[] | undefined;
  readonly signal: AbortSignal;
  readonly note: (line: string) => void;
}

type Pending = Assessment & { readonly kind: 'pending' | 'up-to-date' };

/** What is known before drizzle-kit starts. */
interface Start {
  readonly before: Pending;
  readonly restorePoint: RestorePoint | undefined;
  /** By this the server knows drizzle-kit's session from all others. */
  readonly applicationName: string;
}

/**
 * Migrates one database with the repository's own drizzle-kit: under the tenant's lock, which a connection of ours holds
 * while it works, and only where the database and the folder do not contradict each other. What drizzle-kit says about its
 * success is not believed: the state is read back.
 *
 * @param uri of the direct host. The child finds it in its environment, and nobody finds it anywhere else.
 */
export async function runDrizzleKit(uri: string, options: DrizzleKitOptions): Promise<TenantResult> {
  const target = parseConnectionUri(uri);
  const done = await underLock(target, lockOf(options), async ({ connection, state }) => {
    const before = assess(options.folder, state);
    if (before.kind === 'drift') return driftResult(before.why, options.onDrift);
    if (before.kind === 'up-to-date' && before.upgrade === undefined) {
      return concluded(connection, before, { status: 'unchanged' }, options);
    }
    return bringForward(uri, target, connection, before, options);
  });
  return done ?? lockedResult();
}

function lockOf(options: DrizzleKitOptions): LockDatabaseOptions {
  return { ...options, applicationName: 'neon-fleet migrate' };
}

async function bringForward(
  uri: string,
  target: ConnectionTarget,
  connection: Connection,
  before: Pending,
  options: DrizzleKitOptions,
): Promise<TenantResult> {
  const { signal, note, kit, config, readRestorePoint } = options;
  const restorePoint = await readRestorePoint?.(connection);
  const start: Start = { before, restorePoint, applicationName: `neon-fleet drizzle-kit ${randomUUID().slice(0, 13)}` };
  // While drizzle-kit works this session does nothing, for as long as that takes.
  await connection.query('SET idle_session_timeout = 0');
  const endsWithItsClient = await connection.query(`SET client_connection_check_interval = '2s'`).then(
    () => true,
    () => false,
  );
  note(`Running drizzle-kit ${kit.version} migrate --config ${config}`);
  let exit: KitExit;
  try {
    exit = await runKit({
      ...options,
      args: ['migrate', '--config', config],
      env: environmentFor(uri, start, options, endsWithItsClient),
      secrets: [uri, urlForKit(uri)].flatMap(secretForms).filter((form) => form.length >= SHORTEST_SECRET),
    });
  } catch (thrown) {
    if (!signal.aborted) throw thrown;
    return await afterStop(target, start, thrown, options);
  }
  if (exit.timedOut) await endSession(target, start, options);
  return afterExit(target, connection, start, exit, options);
}

const SHORTEST_SECRET = 4;

function environmentFor(
  uri: string,
  { applicationName }: Start,
  { env, urlVariables, lockTimeoutMs, statementTimeoutMs }: DrizzleKitOptions,
  endsWithItsClient: boolean,
): Record<string, string> {
  const url = urlForKit(uri);
  const settings = [
    `lock_timeout=${lockTimeoutMs}`,
    `statement_timeout=${statementTimeoutMs}`,
    ...(endsWithItsClient ? ['client_connection_check_interval=2000'] : []),
  ];
  return kitEnvironment(env, {
    PGAPPNAME: applicationName,
    PGOPTIONS: settings.map((setting) => `-c ${setting}`).join(' '),
    ...Object.fromEntries(urlVariables.map((name) => [name, url])),
  });
}

/** Looks what drizzle-kit did; by a new connection when this one broke meanwhile. */
async function afterExit(
  target: ConnectionTarget,
  connection: Connection,
  start: Start,
  exit: KitExit,
  options: DrizzleKitOptions,
): Promise<TenantResult> {
  try {
    return await concludeFrom(connection, await readSchemaState(connection, options.table), start, exit, options);
  } catch (thrown) {
    if (!isConnectionLoss(thrown) || options.signal.aborted) throw thrown;
  }
  const done = await underLock(target, lockOf(options), ({ connection: second, state }) =>
    concludeFrom(second, state, start, exit, options),
  );
  return done ?? lockedResult();
}

async function concludeFrom(
  connection: Connection,
  state: SchemaState,
  start: Start,
  exit: KitExit,
  options: DrizzleKitOptions,
): Promise<TenantResult> {
  const after = assess(options.folder, state);
  const migration = recordOf(start, after);
  if (after.kind === 'up-to-date') {
    return concluded(connection, after, { status: 'succeeded', migration }, options);
  }
  const [tag] = after.kind === 'pending' ? after.pending.map((pending) => pending.tag) : [];
  const error =
    hasFailed(exit) || exit.timedOut
      ? explain(kitError(`migrating to ${tag ?? 'the newest version'}`, exit))
      : notAsExpected(after);
  return failed(error, migration, OF_THE_WAY.test(exit.output));
}

/** Failures of the way to the database, in drizzle-kit's words. */
const OF_THE_WAY = /\b(ECONNREFUSED|ECONNRESET|ETIMEDOUT|EPIPE|EAI_AGAIN|ENOTFOUND)\b|Connection terminated/;

function notAsExpected(after: Assessment): Explanation {
  const found = after.kind === 'drift' ? after.why : 'migrations are still pending';
  return {
    message: `drizzle-kit ended well, but the database does not say so: ${found}`,
    hint: 'Do `out` and `migrations` of the drizzle.config name the folder and the table of this database?',
  };
}

/** The user's own question has the last word. */
async function concluded(
  connection: Connection,
  after: Assessment & { readonly kind: 'up-to-date' },
  so: { readonly status: 'unchanged' } | { readonly status: 'succeeded'; readonly migration: MigrationRecord },
  options: DrizzleKitOptions,
): Promise<TenantResult> {
  const { postCheck, kit } = options;
  const migration = so.status === 'succeeded' ? so.migration : { from: after.version, to: after.version, applied: [] };
  const objection = postCheck === undefined ? undefined : await findPostCheckFailure(connection, postCheck, options);
  if (objection !== undefined) return failed(objection, migration, false);
  if (so.status === 'unchanged') {
    return { status: 'unchanged', reason: 'up-to-date', detail: `at ${after.version}`, migration };
  }
  const applied = so.migration.applied;
  const what = applied.length === 0 ? 'completed the table of migrations' : `applied ${applied.join(', ')}`;
  return { status: 'succeeded', detail: `drizzle-kit ${kit.version} ${what}`, migration };
}

/**
 * The run is stopping, and drizzle-kit is gone; its session may not know yet. What was committed before that is in the
 * database, and has to be in the report.
 *
 * @throws what was thrown, when nothing was changed.
 */
async function afterStop(
  target: ConnectionTarget,
  start: Start,
  thrown: unknown,
  options: DrizzleKitOptions,
): Promise<TenantResult> {
  const state = await endSession(target, start, options);
  const migration = state === undefined ? undefined : recordOf(start, assess(options.folder, state));
  if (migration === undefined || migration.applied.length === 0) throw thrown;
  return {
    status: 'skipped',
    reason: stopReasonOf(options.signal),
    detail: `stopped while being worked on; applied before that, and kept: ${migration.applied.join(', ')}`,
    error: explain(thrown),
    migration,
  };
}

/** Short, since a run that was cancelled has five seconds in all. */
const END_TIMEOUT_MS = 1_500;

/**
 * Ends the session that drizzle-kit left on the server, which would otherwise finish its statement first, and reads the
 * state. By a connection that does not listen to the signal: this is what is left to do when a run is stopped.
 */
async function endSession(
  target: ConnectionTarget,
  { applicationName }: Start,
  { authorities, table }: DrizzleKitOptions,
): Promise<SchemaState | undefined> {
  try {
    const connection = await connect(target, { authorities, connectTimeoutMs: END_TIMEOUT_MS });
    try {
      await connection.query(
        `SELECT pg_catalog.pg_terminate_backend(pid, ${END_TIMEOUT_MS}) FROM pg_catalog.pg_stat_activity WHERE application_name = $1`,
        [applicationName],
      );
      return await readSchemaState(connection, table);
    } finally {
      await connection.close();
    }
  } catch {
    return undefined; // the next run finds out
  }
}

function recordOf({ before, restorePoint }: Start, after: Assessment): MigrationRecord {
  const from = versionOf(before);
  const to = versionOf(after);
  const pending = before.kind === 'pending' ? before.pending : [];
  const left = after.kind === 'pending' ? after.pending : after.kind === 'drift' ? after.pendingWithOutOfOrder : [];
  const unknown = after.kind === 'drift' && !after.onlyOutOfOrder;
  const applied = unknown ? [] : pending.filter((migration) => !left.includes(migration)).map(({ tag }) => tag);
  return {
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
    applied,
    ...(restorePoint !== undefined && applied.length > 0 ? { restorePoint } : {}),
  };
}

function versionOf(assessment: Assessment): string | undefined {
  return assessment.kind === 'up-to-date' ? assessment.version : assessment.from;
}

function failed(error: Explanation, migration: MigrationRecord, infrastructure: boolean): TenantResult {
  const kept =
    migration.applied.length === 0 ? 'nothing was applied' : `applied and kept: ${migration.applied.join(', ')}`;
  return {
    status: 'failed',
    detail: `${error.message}; ${kept}`,
    error,
    migration,
    ...(infrastructure ? { infrastructure } : {}),
  };
}
