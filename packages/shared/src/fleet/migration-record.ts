import type { MigrationRecord } from './outcome.js';

/** Whether there is something that could be undone. What was put back again is not in the record any more. */
export function leftSomething(migration: MigrationRecord | undefined): migration is MigrationRecord {
  if (migration === undefined) return false;
  const { applied, unsettled = [], changed = false } = migration;
  return changed || applied.length > 0 || unsettled.length > 0;
}

/**
 * What two attempts on one tenant did together, so that all of it can be undone. What both tell counts once: an outcome
 * that was carried over from an earlier attempt is the same piece of work.
 */
export function joinMigrations(
  earlier: MigrationRecord | undefined,
  later: MigrationRecord | undefined,
): MigrationRecord | undefined {
  // An attempt that left nothing behind needs no way back.
  if (!leftSomething(earlier)) return later ?? earlier;
  if (later === undefined) return earlier;
  if (wasTakenBack(earlier, later)) return later;
  const applied = [...new Set([...earlier.applied, ...later.applied])];
  const unsettled = [...new Set([...(earlier.unsettled ?? []), ...(later.unsettled ?? [])])];
  // The way back, and what it leads to, are those of the first attempt that left something behind.
  const { from, restorePoint } = earlier;
  return {
    ...(from === undefined ? {} : { from }),
    ...(later.verified === undefined ? {} : { verified: later.verified }),
    ...(later.to === undefined ? {} : { to: later.to }),
    applied,
    ...(unsettled.length === 0 ? {} : { unsettled }),
    ...(earlier.changed === true || later.changed === true ? { changed: true as const } : {}),
    ...(later.pending === undefined ? {} : { pending: later.pending }),
    ...(restorePoint === undefined ? {} : { restorePoint }),
  };
}

/** What is applied once more was not there any more: somebody had gone back, and nothing of the first time is left. */
function wasTakenBack(earlier: MigrationRecord, later: MigrationRecord): boolean {
  const [point, other] = [earlier.restorePoint, later.restorePoint];
  // With the same way back it is the same work, told once more.
  if (point === undefined || other === undefined || point.takenAt === other.takenAt) return false;
  return earlier.applied.some((tag) => later.applied.includes(tag));
}
