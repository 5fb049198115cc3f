import type { DrizzleFormat, Migration } from './migrations.js';

/** A row of drizzle's table. */
export interface AppliedMigration {
  readonly id: number;
  readonly hash: string;
  /** The migration's `when`; rows written by hand may lack it. */
  readonly createdAt: number | undefined;
  /** Only tables of drizzle 1.0 have it. */
  readonly name?: string | undefined;
}

/** The name that a row of an old table gets when drizzle 1.0 takes the table over. */
export interface RowName {
  readonly id: number;
  readonly name: string;
}

/** Which row records which migration. */
export interface MatchedRows {
  readonly rowOf: ReadonlyMap<Migration, AppliedMigration>;
  /** Rows of no migration of the folder. */
  readonly unknown: readonly AppliedMigration[];
  /** How many rows of a table with names have none. */
  readonly unnamed: number;
  /** For an old table under a new folder: what drizzle 1.0 would write into it. */
  readonly names: readonly RowName[];
}

/** Finds each migration's row, by the rules of the drizzle that reads the folder. */
export function matchRows(
  folder: DrizzleFormat,
  table: DrizzleFormat,
  migrations: readonly Migration[],
  applied: readonly AppliedMigration[],
): MatchedRows {
  if (folder === 'v0') return matchByTime(migrations, applied);
  return table === 'v0' ? matchForUpgrade(migrations, applied) : matchByName(migrations, applied);
}

/**
 * By time, as drizzle 0.x does, and by content for rows that were written by hand with a time of their own. A row speaks
 * for one migration only: two files may have the same content.
 */
function matchByTime(migrations: readonly Migration[], applied: readonly AppliedMigration[]): MatchedRows {
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
  // A second row of the same migration is what two runs of drizzle at once leave behind: known, and no contradiction.
  const unknown = [...free].filter((row) => !migrations.some((migration) => isRowOf(migration, row)));
  return { rowOf, unknown, unnamed: 0, names: [] };
}

function isRowOf(migration: Migration, row: AppliedMigration): boolean {
  return row.createdAt === migration.when && row.hash === migration.hash;
}

/** By name and nothing else, as drizzle 1.0 does. */
function matchByName(migrations: readonly Migration[], applied: readonly AppliedMigration[]): MatchedRows {
  const byName = new Map(migrations.map((migration) => [migration.tag, migration]));
  const rowOf = new Map<Migration, AppliedMigration>();
  const unknown: AppliedMigration[] = [];
  for (const row of applied) {
    if (row.name === undefined) continue;
    const migration = byName.get(row.name);
    if (migration === undefined) unknown.push(row);
    // Of two rows of one name the one that fits counts: an edited file is one that no row knows.
    else if (rowOf.get(migration)?.hash !== migration.hash) rowOf.set(migration, row);
  }
  return { rowOf, unknown, unnamed: applied.filter(({ name }) => name === undefined).length, names: [] };
}

/**
 * As drizzle 1.0 does before it takes over a table of drizzle 0.x: by time to the second, since names of folders have no
 * more; among several of one second by content; and by content alone where the time is nobody's.
 */
function matchForUpgrade(migrations: readonly Migration[], applied: readonly AppliedMigration[]): MatchedRows {
  const rowOf = new Map<Migration, AppliedMigration>();
  const names: RowName[] = [];
  const unknown: AppliedMigration[] = [];
  for (const row of applied) {
    const second = row.createdAt === undefined ? Number.NaN : Math.trunc(row.createdAt / 1_000) * 1_000;
    const ofThatSecond = migrations.filter(({ when }) => when === second);
    const [only, ...others] = ofThatSecond;
    const migration =
      only !== undefined && others.length === 0
        ? only
        : only === undefined
          ? migrations.findLast(({ hash }) => hash === row.hash)
          : ofThatSecond.find(({ hash }) => hash === row.hash);
    if (migration === undefined) {
      unknown.push(row);
      continue;
    }
    if (rowOf.get(migration)?.hash !== migration.hash) rowOf.set(migration, row);
    names.push({ id: row.id, name: migration.tag });
  }
  return { rowOf, unknown, unnamed: 0, names };
}
