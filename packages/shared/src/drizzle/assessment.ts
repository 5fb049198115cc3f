import { matchRows, type AppliedMigration, type RowName } from './match-rows.js';
import { findMigration, type DrizzleFormat, type Migration, type MigrationFolder } from './migrations.js';

/** What a database says about its schema. */
export type SchemaState =
  | { readonly table: 'absent'; readonly userTables: readonly string[] }
  | {
      readonly table: 'present';
      /** The shape of drizzle's table: without names, or with names. */
      readonly format: DrizzleFormat;
      readonly applied: readonly AppliedMigration[];
      /** Read only where nothing is recorded, because only then does it matter what else there is. */
      readonly userTables?: readonly string[];
    };

/** One way in which a database and the folder contradict each other. */
export type DriftFinding =
  /** Older than the newest applied one but never applied: drizzle would leave them out for ever. */
  | { readonly kind: 'out-of-order'; readonly tags: readonly string[] }
  /** The file's hash is not the recorded one. */
  | { readonly kind: 'edited'; readonly tags: readonly string[] }
  /** Recorded but not in the folder; `ahead`: newer than all of it, and nothing is missing. */
  | { readonly kind: 'unknown'; readonly count: number; readonly ahead: boolean }
  | { readonly kind: 'no-drizzle-table'; readonly tables: readonly string[] }
  /** `unnamedRows`: rows that drizzle 0.x wrote into a table of 1.0. */
  | { readonly kind: 'table-of-other-format'; readonly table: DrizzleFormat; readonly unnamedRows?: number };

/** What is to be done with a database. */
export type Assessment =
  | {
      readonly kind: 'up-to-date';
      /** Tag of the newest migration that is applied. */
      readonly version: string;
      /** How many migrations of the folder are applied. */
      readonly applied: number;
      /** Whether it has more than was asked for by `to`; nothing is taken back. */
      readonly beyond: boolean;
      /** The names with which drizzle 1.0 would complete a table of 0.x; absent: the table is as it should be. */
      readonly upgrade?: readonly RowName[];
    }
  | {
      readonly kind: 'pending';
      readonly pending: readonly Migration[];
      /** Tag of the newest migration that is applied; undefined: none is. */
      readonly from: string | undefined;
      readonly upgrade?: readonly RowName[];
    }
  /** The database and the folder contradict each other: whatever drizzle would do here is a guess. */
  | {
      readonly kind: 'drift';
      readonly findings: readonly DriftFinding[];
      readonly why: string;
      readonly from: string | undefined;
      /** Whether it would be healed by applying what is missing. */
      readonly onlyOutOfOrder: boolean;
      /** All that is missing, in the folder's order; empty unless `onlyOutOfOrder`. */
      readonly pendingWithOutOfOrder: readonly Migration[];
    };

export interface AssessOptions {
  /** The migration to go up to: its tag, or a beginning of it that is unique. Default: the newest. */
  readonly to?: string | undefined;
}

/**
 * Holds a database's state against the folder.
 *
 * drizzle 0.x applies whatever is newer than the newest row and looks at nothing else, so that a migration merged out of
 * order is silently left out for ever and an edited one goes unnoticed; both are found here. drizzle 1.0 applies whatever
 * name is missing, so that there is no "out of order" for its folders.
 *
 * @throws ExplainedError when the folder has no such migration as `to`.
 */
export function assess(folder: MigrationFolder, state: SchemaState, { to }: AssessOptions = {}): Assessment {
  const { migrations, format } = folder;
  const wanted = to === undefined ? migrations : migrations.slice(0, migrations.indexOf(findMigration(folder, to)) + 1);
  const nothingRecorded = state.table === 'absent' || state.applied.length === 0;
  if (state.table === 'present' && state.format === 'v1' && format === 'v0') {
    return drift([{ kind: 'table-of-other-format', table: 'v1' }]);
  }
  if (nothingRecorded) {
    const tables = state.userTables ?? [];
    if (tables.length > 0) return drift([{ kind: 'no-drizzle-table', tables }]);
    const oldTable = state.table === 'present' && state.format !== format;
    return { kind: 'pending', pending: wanted, from: undefined, ...(oldTable ? { upgrade: [] } : {}) };
  }
  return assessApplied(folder, wanted, state);
}

function assessApplied(
  { migrations, format }: MigrationFolder,
  wanted: readonly Migration[],
  state: SchemaState & { table: 'present' },
): Assessment {
  const { rowOf, unknown, unnamed, names } = matchRows(format, state.format, migrations, state.applied);
  const newest = newestTime(state.applied);
  const missing = wanted.filter((migration) => !rowOf.has(migration));
  const version = migrations.findLast((migration) => rowOf.has(migration))?.tag;
  const edited = migrations.filter((migration) => hashDiffers(migration, rowOf.get(migration)));
  const outOfOrder = format === 'v0' ? missing.filter(({ when }) => when <= newest) : [];
  const complete = migrations.every((migration) => rowOf.has(migration));
  const findings: DriftFinding[] = [
    ...(unnamed > 0 ? [{ kind: 'table-of-other-format', table: 'v1', unnamedRows: unnamed } as const] : []),
    ...(unknown.length > 0
      ? [{ kind: 'unknown', count: unknown.length, ahead: complete && areNewer(unknown, migrations) } as const]
      : []),
    ...(edited.length > 0 ? [{ kind: 'edited', tags: tagsOf(edited) } as const] : []),
    ...(outOfOrder.length > 0 ? [{ kind: 'out-of-order', tags: tagsOf(outOfOrder) } as const] : []),
  ];
  if (findings.length > 0) return drift(findings, version, missing);
  const upgrade = state.format === format ? {} : { upgrade: names };
  if (missing.length > 0) return { kind: 'pending', pending: missing, from: version, ...upgrade };
  const beyond = migrations.slice(wanted.length).some((migration) => rowOf.has(migration));
  return { kind: 'up-to-date', version: version ?? 'no migration', applied: rowOf.size, beyond, ...upgrade };
}

function newestTime(applied: readonly AppliedMigration[]): number {
  return Math.max(-Infinity, ...applied.map(({ createdAt }) => createdAt ?? -Infinity));
}

function hashDiffers({ hash }: Migration, row: AppliedMigration | undefined): boolean {
  return row !== undefined && row.hash !== hash;
}

function areNewer(rows: readonly AppliedMigration[], migrations: readonly Migration[]): boolean {
  const newestKnown = Math.max(...migrations.map(({ when }) => when));
  return rows.every(({ createdAt }) => (createdAt ?? 0) > newestKnown);
}

function drift(findings: readonly DriftFinding[], from?: string, missing: readonly Migration[] = []): Assessment {
  const onlyOutOfOrder = findings.every(({ kind }) => kind === 'out-of-order');
  return {
    kind: 'drift',
    findings,
    why: findings.map(findingWords).join('; '),
    from,
    onlyOutOfOrder,
    pendingWithOutOfOrder: onlyOutOfOrder ? missing : [],
  };
}

/** Says what is wrong, in words that continue "it is left alone:". */
export function findingWords(finding: DriftFinding): string {
  switch (finding.kind) {
    case 'out-of-order':
      return `older than the newest applied migration but never applied: ${listed(finding.tags)}; drizzle would leave them out for ever`;
    case 'edited':
      return `edited after they were applied: ${listed(finding.tags)}`;
    case 'unknown':
      return finding.ahead
        ? `it is ahead of this checkout by ${count(finding.count, 'migration')}: was an old commit run again?`
        : `${count(finding.count, 'applied migration')} that the folder does not have`;
    case 'no-drizzle-table':
      return `it has tables (${listed(finding.tables)}) but no table of drizzle's: its schema came from elsewhere, and applying the first migration to it would fail or do harm`;
    case 'table-of-other-format':
      return finding.unnamedRows === undefined
        ? "its table of migrations is drizzle 1.0's; writing the old form into it would break it"
        : `${count(finding.unnamedRows, 'row')} without a name, which drizzle 0.x wrote into the table of drizzle 1.0, and which drizzle 1.0 would apply again`;
  }
}

function tagsOf(migrations: readonly Migration[]): string[] {
  return migrations.map(({ tag }) => tag);
}

const LISTED = 5;

function listed(names: readonly string[]): string {
  const more = names.length - LISTED;
  return names.slice(0, LISTED).join(', ') + (more > 0 ? ` and ${more} more` : '');
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
