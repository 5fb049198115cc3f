import { setTimeout as delay } from 'node:timers/promises';

import { explain } from '@neon-fleet/shared/errors';
import type { Neon } from '@neon-fleet/shared/neon';
import type { Connection } from '@neon-fleet/shared/postgres';

type Computes = Pick<Neon, 'computeOfHost' | 'suspendCompute'>;
type Note = (line: string) => void;

/** A compute that this run has woken, and that it may put to sleep again. */
export interface WokenCompute {
  readonly projectId: string;
  readonly id: string;
}

/**
 * The computes that a run has woken. Those that ran already are somebody else's: they are never suspended. Whatever fails
 * here is a note, and no failure of a backup.
 */
export class WokenComputes {
  readonly #ids = new Set<string>();

  constructor(private readonly neon: Computes) {}

  /** To be asked before the first connection. @returns undefined when it is awake by somebody else's doing, or not known */
  async lookAt(projectId: string, uri: string, note: Note): Promise<WokenCompute | undefined> {
    try {
      const compute = await this.neon.computeOfHost(projectId, new URL(uri).host);
      if (compute === undefined) return undefined;
      if (compute.isAsleep) this.#ids.add(compute.id);
      // Another database of the same project may have been the one that woke it.
      return this.#ids.has(compute.id) ? { projectId, id: compute.id } : undefined;
    } catch (thrown) {
      note(`Whether its compute was asleep is not known, so that it is not suspended: ${explain(thrown).message}`);
      return undefined;
    }
  }

  async suspend({ projectId, id }: WokenCompute, note: Note): Promise<void> {
    try {
      await this.neon.suspendCompute(projectId, id);
      this.#ids.delete(id);
      note(`Suspended its compute ${id}, which this run had woken`);
    } catch (thrown) {
      note(
        `Its compute ${id} could not be suspended: ${explain(thrown).message}. Neon does it by itself after a while.`,
      );
    }
  }
}

/** A session of pg_dump's may be there for a moment after it has ended. */
const LOOKS = 5;
const LOOK_AGAIN_MS = 50;

/**
 * Whether nobody but this connection is in any database of the server; sessions of Neon's own do not count. What cannot be
 * seen of other roles' sessions (their kind) is taken for somebody.
 */
export async function isAlone(connection: Pick<Connection, 'query'>): Promise<boolean> {
  // What is seen of sessions stays the same within a transaction.
  await connection.query('ROLLBACK');
  for (let look = 1; ; look += 1) {
    const [row] = await connection.query(
      `SELECT count(*)::int AS others FROM pg_catalog.pg_stat_activity JOIN pg_catalog.pg_roles r ON r.oid = usesysid
        WHERE pid <> pg_catalog.pg_backend_pid() AND NOT rolsuper
          AND (backend_type IS NULL OR backend_type IN ('client backend', 'walsender'))`,
    );
    if (row?.['others'] === 0) return true;
    if (look >= LOOKS) return false;
    await delay(LOOK_AGAIN_MS);
  }
}
