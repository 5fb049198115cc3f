import type { MigrationRecord } from './outcome.js';

/**
 * What two attempts on one tenant did together, so that all of it can be undone. What both tell counts once: an outcome
 * that was carried over from an earlier attempt is the same piece of work.
 */
export function joinMigrations(
  earlier: MigrationRecord | undefined,
  later: MigrationRecord | undefined,
): MigrationRecord | undefined {
  // An attempt that left nothing behind needs no way back.
  if (earlier === undefined || earlier.applied.length === 0) return later ?? earlier;
  if (later === undefined) return earlier;
  const before = new Set(earlier.applied);
  // The way back, and what it leads to, are those of the first attempt that left something behind.
  const { from, restorePoint } = earlier;
  return {
    ...(from === undefined ? {} : { from }),
    ...(later.verified === undefined ? {} : { verified: later.verified }),
    ...(later.to === undefined ? {} : { to: later.to }),
    applied: [...earlier.applied, ...later.applied.filter((tag) => !before.has(tag))],
    ...(later.pending === undefined ? {} : { pending: later.pending }),
    ...(restorePoint === undefined ? {} : { restorePoint }),
  };
}
