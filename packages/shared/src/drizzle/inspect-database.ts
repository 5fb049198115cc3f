import type { MigrationRecord } from '../fleet/index.js';
import { connect, LOCK_KEY, parseConnectionUri } from '../postgres/index.js';
import { assess, type Assessment, type SchemaState } from './assessment.js';
import type { MigrationsTable } from './migrations-table.js';
import type { MigrationFolder } from './migrations.js';
import { finishReading, stateSql, valueOf } from './schema-state.js';

export interface InspectOptions {
  readonly folder: MigrationFolder;
  readonly table: MigrationsTable;
  /** Tag that the database should be at, or a beginning of it that is unique. Default: the newest. */
  readonly to?: string | undefined;
  readonly authorities: readonly string[] | undefined;
  readonly signal: AbortSignal;
}

/** What there is to know about a database without touching it. */
export interface Inspection {
  readonly assessment: Assessment;
  /** What was read, to be held against something else as well. */
  readonly state: SchemaState;
  /** Such as `17.2`. */
  readonly serverVersion: string;
  /** Whether somebody works on it right now: a migration, or a backup that keeps one out. */
  readonly busy: boolean;
}

const SERVER_SQL = `SELECT current_setting('server_version') AS version,
  EXISTS (SELECT FROM pg_catalog.pg_locks
           WHERE locktype = 'advisory' AND granted AND classid = ${LOCK_KEY[0]} AND objid = ${LOCK_KEY[1]} AND objsubid = 2
             AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())) AS busy`;

/**
 * Looks at one database and changes nothing: everything is read in transactions that cannot write, and no lock is taken
 * that keeps anybody out. What it says may have changed a moment later.
 *
 * @throws PostgresError, or the reason of the signal.
 */
export async function inspectDatabase(uri: string, options: InspectOptions): Promise<Inspection> {
  const { folder, table, to, authorities, signal } = options;
  const connection = await connect(parseConnectionUri(uri), {
    signal,
    authorities,
    applicationName: 'neon-fleet inspect',
  });
  try {
    const [began, server, read, ended] = await connection.pipeline([
      READ_ONLY,
      SERVER_SQL,
      `BEGIN READ ONLY; ${stateSql(table)}`,
      'ROLLBACK',
    ]);
    valueOf(began);
    const [facts] = valueOf(server);
    const state = await finishReading(connection, table, read);
    valueOf(ended);
    return {
      assessment: assess(folder, state, { to }),
      state,
      serverVersion: String(facts?.['version']),
      busy: facts?.['busy'] === true,
    };
  } finally {
    await connection.close();
  }
}

/** For the whole session, so that a further look cannot write either. */
const READ_ONLY = 'SET default_transaction_read_only = on';

/** The part of an outcome's record that a look can fill: where the database is, and what would be applied. */
export function plannedRecord(assessment: Assessment): MigrationRecord {
  switch (assessment.kind) {
    case 'up-to-date':
      return { from: assessment.version, to: assessment.version, applied: [], pending: [] };
    case 'pending':
    case 'drift': {
      const pending = assessment.kind === 'pending' ? assessment.pending : assessment.pendingWithOutOfOrder;
      return {
        ...(assessment.from === undefined ? {} : { from: assessment.from, to: assessment.from }),
        applied: [],
        pending: pending.map(({ tag }) => tag),
      };
    }
  }
}
