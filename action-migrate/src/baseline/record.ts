import {
  assess,
  createTableSql,
  upgradeTableSql,
  type Migration,
  type MigrationFolder,
  type MigrationsTable,
  type SchemaState,
} from '@neon-fleet/shared/drizzle';

/** What drizzle's record says about a database that is to be adopted. */
export type RecordState =
  /** There is none: whether the database can be adopted is for its schema to say. */
  | { readonly kind: 'unrecorded' }
  /** It says that the version is there, or a later one: adopted, or never in need of it. */
  | { readonly kind: 'recorded'; readonly version: string }
  | { readonly kind: 'contradiction'; readonly why: string };

/** Decides from drizzle's record alone, as far as that is possible. */
export function readRecord(folder: MigrationFolder, state: SchemaState, at: Migration): RecordState {
  const assessment = assess(folder, state, { to: at.tag });
  switch (assessment.kind) {
    case 'up-to-date':
      return { kind: 'recorded', version: assessment.version };
    case 'drift':
      return assessment.findings.every(({ kind }) => kind === 'no-drizzle-table')
        ? { kind: 'unrecorded' }
        : { kind: 'contradiction', why: assessment.why };
    case 'pending':
      return {
        kind: 'contradiction',
        why:
          assessment.from === undefined
            ? 'it has no tables, so that there is nothing to adopt; migrate it instead'
            : `drizzle's record of it ends at ${assessment.from}; only a database without a record is adopted, migrate this one instead`,
      };
  }
}

/** The migrations up to a version, itself included. */
export function upTo({ migrations }: MigrationFolder, at: Migration): readonly Migration[] {
  return migrations.slice(0, migrations.indexOf(at) + 1);
}

/** Makes or completes drizzle's table, as drizzle would. */
export function prepareTableSql(folder: MigrationFolder, state: SchemaState, table: MigrationsTable): string {
  const isOlder = state.table === 'present' && state.format !== folder.format;
  return isOlder ? upgradeTableSql(table, []) : createTableSql(table, folder.format);
}
