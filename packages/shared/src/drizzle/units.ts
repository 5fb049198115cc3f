import type { DrizzleFormat, Migration } from './migrations.js';

/** `per-migration`: each migration and its row are a transaction. `all`: all of them are one, as with drizzle. */
export type TransactionMode = 'per-migration' | 'all';

/** What is done at once: it takes effect as a whole or, in a transaction, not at all. */
export type Unit =
  | { readonly kind: 'transaction'; readonly migrations: readonly Migration[] }
  | { readonly kind: 'outside'; readonly migration: Migration };

/**
 * Divides what is pending, in its order. A file that has to run outside a transaction stands by itself, in either mode:
 * what comes before it is committed first.
 */
export function divide(pending: readonly Migration[], mode: TransactionMode, format: DrizzleFormat): Unit[] {
  const units: Unit[] = [];
  let run: Migration[] = [];
  const endRun = () => {
    const groups = mode === 'all' ? [run] : groupsOf(run, format);
    units.push(
      ...groups.filter(({ length }) => length > 0).map((migrations) => ({ kind: 'transaction', migrations }) as const),
    );
    run = [];
  };
  for (const migration of pending) {
    if (migration.noTransaction) {
      endRun();
      units.push({ kind: 'outside', migration });
    } else {
      run.push(migration);
    }
  }
  endRun();
  return units;
}

/**
 * A transaction for each migration, except where a later one has an older time: with only the first of the two applied,
 * the other would count as out of order, and drizzle 0.x would leave it out for ever.
 */
function groupsOf(run: readonly Migration[], format: DrizzleFormat): Migration[][] {
  const groups: Migration[][] = [[]];
  for (const [index, migration] of run.entries()) {
    groups.at(-1)?.push(migration);
    const newest = Math.max(...run.slice(0, index + 1).map(({ when }) => when));
    if (format === 'v1' || run.slice(index + 1).every(({ when }) => when > newest)) groups.push([]);
  }
  return groups;
}
