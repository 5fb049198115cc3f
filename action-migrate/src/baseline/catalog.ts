import type { Connection, Row } from '@neon-fleet/shared/postgres';

import { catalogSql, type CatalogScope } from './catalog-sql.js';

/** One thing that a migration can make, in PostgreSQL's own words. */
export interface CatalogObject {
  /** Such as `table`, `column`, `index`. */
  readonly kind: string;
  /** The schema or table that it is a part of, by its qualified name; absent for what stands at the top. */
  readonly parent?: string;
  /** Qualified and quoted as in SQL: `public.users.email`. Unique among the objects of its kind. */
  readonly name: string;
  /** What it is besides its name; the same text for the same thing, whoever made it and in which order. */
  readonly definition: string;
}

/** A database's schema, without data, owners and privileges. */
export interface Catalog {
  /** Of the server; PostgreSQL's words for the same thing may change from one to the next. */
  readonly serverMajor: number;
  readonly objects: readonly CatalogObject[];
}

/**
 * Reads a database's whole schema in one round trip.
 *
 * Left out on purpose: owners and privileges, comments, storage parameters and statistics (set by operators, changed by no
 * query's meaning), what belongs to an extension, and **the order of columns**: a column that was added later stands last, so
 * that a pushed and a migrated table differ in it, and drizzle names the columns in each of its statements.
 */
export async function readCatalog(connection: Pick<Connection, 'query'>, scope: CatalogScope): Promise<Catalog> {
  const rows = await connection.query(catalogSql(scope));
  const server = rows.find(({ kind }) => kind === 'server');
  return {
    serverMajor: Number(server?.['definition']),
    objects: rows.filter((row) => row !== server).map(objectOf),
  };
}

function objectOf({ kind, parent, name, definition }: Row): CatalogObject {
  return {
    kind: String(kind),
    ...(typeof parent === 'string' ? { parent } : {}),
    name: String(name),
    definition: typeof definition === 'string' ? definition : '',
  };
}
