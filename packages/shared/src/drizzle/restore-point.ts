import type { Connection } from '../postgres/index.js';

/** A place in a database's log, and when it was read. */
export interface WalPosition {
  /** Such as `0/1A2B3C4`. */
  readonly lsn: string;
  /** ISO time, by the runner's clock. */
  readonly takenAt: string;
}

/** Reads how far the log has been written: what was committed before is in it. */
export async function readWalPosition(
  connection: Pick<Connection, 'query'>,
  now: () => Date = () => new Date(),
): Promise<WalPosition> {
  const takenAt = now().toISOString();
  const [row] = await connection.query('SELECT pg_catalog.pg_current_wal_lsn()::text AS lsn');
  return { lsn: String(row?.['lsn']), takenAt };
}
