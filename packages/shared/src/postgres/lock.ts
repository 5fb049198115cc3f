import { setTimeout as delay } from 'node:timers/promises';

import type { Connection } from './connection.js';

/** `exclusive` for what changes the schema, `shared` for what only needs it to stand still. */
export type LockMode = 'exclusive' | 'shared';

export interface LockOptions {
  readonly mode: LockMode;
  /** How long to go on asking. */
  readonly waitMs: number;
  readonly signal?: AbortSignal;
  readonly pollEveryMs?: number;
}

/** Two numbers that mean this project: "neon" and "flee" in ASCII. Advisory locks are each database's own. */
export const LOCK_KEY = [0x6e656f6e, 0x666c6565] as const;

const POLL_EVERY_MS = 250;

/** Asks for the tenant's lock once, without waiting; the answer is in the column `held`. */
export function tryLockSql(mode: LockMode): string {
  const ask = mode === 'exclusive' ? 'pg_try_advisory_lock' : 'pg_try_advisory_lock_shared';
  return `SELECT ${ask}(${LOCK_KEY[0]}, ${LOCK_KEY[1]}) AS held`;
}

/**
 * Takes the tenant's lock, which is held until the connection closes. Returns false when somebody else kept it for the
 * whole time.
 *
 * It asks again and again instead of blocking in `pg_advisory_lock`: a session that blocks there holds a snapshot, and
 * `CREATE INDEX CONCURRENTLY` of the session that has the lock would wait for that snapshot: a deadlock.
 */
export async function takeLock(connection: Pick<Connection, 'query'>, options: LockOptions): Promise<boolean> {
  const { mode, waitMs, signal, pollEveryMs = POLL_EVERY_MS } = options;
  const deadline = performance.now() + waitMs;
  for (;;) {
    const [answer] = await connection.query(tryLockSql(mode));
    if (answer?.['held'] === true) return true;
    const leftMs = deadline - performance.now();
    if (leftMs <= 0) return false;
    await delay(Math.min(pollEveryMs, leftMs), undefined, { signal });
  }
}
