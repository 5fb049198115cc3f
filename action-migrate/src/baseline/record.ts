import { escapeIdentifier, escapeLiteral } from 'pg';

import { assess, type Migration, type MigrationsTable, type SchemaState } from '@neon-fleet/shared/drizzle';

/** A folder of migrations in the order in which drizzle applies them. */
export interface Folder {
  readonly format: 'v0' | 'v1';
  readonly migrations: readonly Migration[];
}

/** What drizzle's record says about a database that is to be adopted. */
export type RecordState =
  /** There is none: whether the database can be adopted is for its schema to say. */
  | { readonly kind: 'unrecorded' }
  /** It says that the version is there, or a later one: adopted, or never in need of it. */
  | { readonly kind: 'recorded'; readonly version: string }
  | { readonly kind: 'contradiction'; readonly why: string };

/** Decides from drizzle's record alone, as far as that is possible. */
export function readRecord(folder: Folder, state: SchemaState, at: Migration): RecordState {
  const { migrations } = folder;
  if (state.table === 'absent') {
    return state.userTables.length > 0
      ? { kind: 'unrecorded' }
      : { kind: 'contradiction', why: 'it has no tables: there is nothing to adopt. Migrate it instead' };
  }
  const assessment = assess(migrations, state);
  switch (assessment.kind) {
    case 'drift':
      return { kind: 'contradiction', why: assessment.why };
    case 'up-to-date':
      return { kind: 'recorded', version: assessment.version };
    case 'pending': {
      const from = migrations.findIndex(({ tag }) => tag === assessment.from);
      return from >= migrations.indexOf(at)
        ? { kind: 'recorded', version: assessment.from ?? '' }
        : {
            kind: 'contradiction',
            why: `drizzle's record of it ends at ${assessment.from ?? 'nothing'}; only a database without a record is adopted. Migrate it instead`,
          };
    }
  }
}

/** Makes drizzle's table as drizzle does, and writes the rows that it would have written. To be run in a transaction. */
export function adoptSql(
  table: MigrationsTable,
  format: Folder['format'],
  migrations: readonly Migration[],
): { readonly createTable: string; readonly insertRows: string } {
  const name = qualifiedName(table);
  const named = format === 'v1';
  const rows = migrations.map(({ hash, when, tag }) =>
    [escapeLiteral(hash), String(when), ...(named ? [escapeLiteral(tag)] : [])].join(', '),
  );
  return {
    createTable: `CREATE SCHEMA IF NOT EXISTS ${escapeIdentifier(table.schema)};
      CREATE TABLE IF NOT EXISTS ${name} (id SERIAL PRIMARY KEY, hash text NOT NULL, created_at bigint${
        named ? ', name text, applied_at timestamp with time zone DEFAULT now()' : ''
      })`,
    insertRows: rows
      .map((row) => `INSERT INTO ${name} (hash, created_at${named ? ', name' : ''}) VALUES (${row})`)
      .join('; '),
  };
}

export function qualifiedName({ schema, table }: MigrationsTable): string {
  return `${escapeIdentifier(schema)}.${escapeIdentifier(table)}`;
}
