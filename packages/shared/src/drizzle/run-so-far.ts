import type { MigrationRecord, RestorePoint } from '../fleet/index.js';

/** What a run has done to a database so far: it outlives the connection. */
export interface Run {
  from: string | undefined;
  /** Where the database is when nothing further happens. */
  to: string | undefined;
  readonly applied: string[];
  restorePoint: RestorePoint | undefined;
  /** Whether the first change was begun. */
  began: boolean;
  /** Whether something is there that was not there before. */
  changed: boolean;
  /** Migrations of which it is not known whether they took effect, because an answer was lost. */
  unsettled: readonly string[];
  /** Whether a file was cut off that runs outside a transaction, and may have been done in part. */
  cutOff: boolean;
}

export function newRun(): Run {
  return {
    from: undefined,
    to: undefined,
    applied: [],
    restorePoint: undefined,
    began: false,
    changed: false,
    unsettled: [],
    cutOff: false,
  };
}

/** What a run leaves behind, in words that follow those of its failure. */
export function leftBehindWords({ applied, changed, unsettled }: Run): string {
  const unknown = unsettled.length === 0 ? '' : `whether ${unsettled.join(', ')} took effect is not known`;
  const known =
    applied.length > 0
      ? `applied before that, and kept: ${applied.join(', ')}`
      : changed
        ? 'what it did before that is kept'
        : 'the database is as it was';
  if (unknown === '') return known;
  return changed ? `${unknown}; ${known}` : unknown;
}

/** What of a run is kept in reports. */
export function recordOf({ from, to, applied, changed, unsettled, cutOff, restorePoint }: Run): MigrationRecord {
  const left = changed || cutOff || unsettled.length > 0;
  return {
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
    applied: [...applied],
    ...(unsettled.length === 0 ? {} : { unsettled: [...unsettled] }),
    ...(changed || cutOff ? { changed: true as const } : {}),
    // Going back to it when nothing was changed would only cost what customers wrote since.
    ...(left && restorePoint !== undefined ? { restorePoint } : {}),
  };
}
