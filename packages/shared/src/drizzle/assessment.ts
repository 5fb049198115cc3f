import type { Migration } from './migrations.js';

/** A row of drizzle's table. */
export interface AppliedMigration {
  readonly hash: string;
  /** The migration's `when`; rows written by hand may lack it. */
  readonly createdAt: number | undefined;
}

/** What a database says about its schema. */
export type SchemaState =
  | { readonly table: 'present'; readonly applied: readonly AppliedMigration[] }
  /** drizzle 1.0's table, which has names in place of times. */
  | { readonly table: 'of-drizzle-1' }
  | { readonly table: 'absent'; readonly userTables: readonly string[] };

/** What is to be done with a database. */
export type Assessment =
  | { readonly kind: 'up-to-date'; readonly version: string }
  | { readonly kind: 'pending'; readonly pending: readonly Migration[]; readonly from: string | undefined }
  /** The database and the folder contradict each other: whatever drizzle would do here is a guess. */
  | { readonly kind: 'drift'; readonly why: string };

/**
 * Holds a database's state against the folder.
 *
 * drizzle itself applies whatever is newer than the newest row and looks at nothing else, so that a migration merged out
 * of order is silently left out for ever and an edited one goes unnoticed; both are found here.
 */
export function assess(migrations: readonly Migration[], state: SchemaState): Assessment {
  switch (state.table) {
    case 'of-drizzle-1':
      return drift("its table of migrations is drizzle 1.0's; writing the old form into it would break it");
    case 'absent':
      return state.userTables.length === 0
        ? { kind: 'pending', pending: migrations, from: undefined }
        : drift(
            `it has tables (${listed(state.userTables)}) but no table of drizzle's: its schema came from elsewhere, and applying the first migration to it would fail or do harm`,
          );
    case 'present':
      return assessApplied(migrations, state.applied);
  }
}

function assessApplied(migrations: readonly Migration[], applied: readonly AppliedMigration[]): Assessment {
  const newest = Math.max(-Infinity, ...applied.map(({ createdAt }) => createdAt ?? -Infinity));
  const rowOf = matchRows(migrations, applied);
  const known = new Set(rowOf.values());

  // A second row of the same migration is what two runs of drizzle at once leave behind: known, and no contradiction.
  const unknown = applied.filter((row) => !known.has(row) && !migrations.some((migration) => isRowOf(migration, row)));
  const edited = migrations.filter((migration) => {
    const row = rowOf.get(migration);
    return row !== undefined && row.hash !== migration.hash;
  });
  const missing = migrations.filter((migration) => !rowOf.has(migration));
  const outOfOrder = missing.filter(({ when }) => when <= newest);

  const findings = [
    ...(unknown.length > 0 ? [unknownWords(unknown, migrations, missing)] : []),
    ...(edited.length > 0 ? [`edited after they were applied: ${tags(edited)}`] : []),
    ...(outOfOrder.length > 0
      ? [
          `older than the newest applied migration but never applied: ${tags(outOfOrder)}; drizzle would leave them out for ever`,
        ]
      : []),
  ];
  if (findings.length > 0) return drift(findings.join('; '));
  if (missing.length > 0) return { kind: 'pending', pending: missing, from: newestTag(migrations, rowOf) };
  return { kind: 'up-to-date', version: newestTag(migrations, rowOf) ?? 'no migration' };
}

function isRowOf(migration: Migration, row: AppliedMigration): boolean {
  return row.createdAt === migration.when && row.hash === migration.hash;
}

/**
 * Finds each migration's row: by time, as drizzle does, and by content for rows that were written by hand with a time of
 * their own. A row speaks for one migration only: two files may have the same content.
 */
function matchRows(
  migrations: readonly Migration[],
  applied: readonly AppliedMigration[],
): ReadonlyMap<Migration, AppliedMigration> {
  const times = new Set<number | undefined>(migrations.map(({ when }) => when));
  const rowOf = new Map<Migration, AppliedMigration>();
  const free = new Set(applied);
  // The surest comes first.
  for (const matches of [
    isRowOf,
    (migration: Migration, row: AppliedMigration) => row.createdAt === migration.when,
    (migration: Migration, row: AppliedMigration) => row.hash === migration.hash && !times.has(row.createdAt),
  ]) {
    for (const migration of migrations) {
      if (rowOf.has(migration)) continue;
      const row = [...free].find((candidate) => matches(migration, candidate));
      if (row === undefined) continue;
      rowOf.set(migration, row);
      free.delete(row);
    }
  }
  return rowOf;
}

function unknownWords(
  unknown: readonly AppliedMigration[],
  migrations: readonly Migration[],
  missing: readonly Migration[],
): string {
  const newestKnown = Math.max(...migrations.map(({ when }) => when));
  const ahead = missing.length === 0 && unknown.every(({ createdAt }) => (createdAt ?? 0) > newestKnown);
  return ahead
    ? `it is ahead of this checkout by ${count(unknown.length, 'migration')}: was an old commit run again?`
    : `${count(unknown.length, 'applied migration')} that the folder does not have`;
}

function newestTag(
  migrations: readonly Migration[],
  rowOf: ReadonlyMap<Migration, AppliedMigration>,
): string | undefined {
  return migrations.findLast((migration) => rowOf.has(migration))?.tag;
}

function drift(why: string): Assessment {
  return { kind: 'drift', why };
}

function tags(migrations: readonly Migration[]): string {
  return listed(migrations.map(({ tag }) => tag));
}

const LISTED = 5;

function listed(names: readonly string[]): string {
  const more = names.length - LISTED;
  return names.slice(0, LISTED).join(', ') + (more > 0 ? ` and ${more} more` : '');
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
