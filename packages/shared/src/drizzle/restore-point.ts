import type { Connection } from '../postgres/index.js';

/** A place in a database's log, and when it was read. */
export interface WalPosition {
  /** Such as `0/1A2B3C4`. */
  readonly lsn: string;
  /** ISO time, by the runner's clock. */
  readonly takenAt: string;
}

/**
 * Reads how far the log has come: whatever a client was told is committed is before that place, also what it committed
 * with `synchronous_commit = off`, which may not have been written out yet.
 *
 * Neon can only go back to a place that has reached its storage, which this one may not have at the moment it is read. It
 * is gone back to only after something else was committed behind it, and what is before a commit gets there with it; a
 * restore that comes within that moment waits for it in Neon, or is refused and may be asked for again.
 */
export async function readWalPosition(
  connection: Pick<Connection, 'query'>,
  now: () => Date = () => new Date(),
): Promise<WalPosition> {
  const takenAt = now().toISOString();
  const [row] = await connection.query('SELECT pg_catalog.pg_current_wal_insert_lsn()::text AS lsn');
  return { lsn: String(row?.['lsn']), takenAt };
}
