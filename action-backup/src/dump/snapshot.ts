import { createHash } from 'node:crypto';

import type { Connection } from '@neon-fleet/shared/postgres';

import { readRoles, type RolesAndGrants } from '../roles/roles.js';
import { SCHEMA_OBJECTS } from './schema-objects.js';

/** What is recorded of a database in the snapshot that its dump is made from. */
export interface SnapshotFacts extends RolesAndGrants {
  /** Of the exported snapshot, for pg_dump. */
  readonly snapshot: string;
  readonly snapshotAt: string;
  readonly extensions: readonly { readonly name: string; readonly version: string }[];
  /** What drizzle's table says; absent when there is none. */
  readonly migrations?: { readonly applied: number; readonly lastHash: string; readonly lastCreatedAt: number };
  readonly schema: SchemaPrint;
}

/** The objects of a database, a fingerprint for each kind. */
export type SchemaPrint = Readonly<Record<string, { readonly count: number; readonly sha256: string }>>;

type Querier = Pick<Connection, 'query'>;

/** Until the connection closes, everything is read as it is now, and pg_dump can be told to do the same. */
export async function openSnapshot(connection: Querier, role: string): Promise<SnapshotFacts> {
  await connection.query(
    'SET idle_in_transaction_session_timeout = 0; BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL search_path = pg_catalog',
  );
  // All at once: each would else wait for the answer to the one before.
  const [[row], extensions, migrations, schema, roles] = await Promise.all([
    connection.query(EXPORT),
    connection.query('SELECT extname, extversion FROM pg_extension ORDER BY extname'),
    readMigrations(connection),
    readSchema(connection),
    readRoles(connection, role),
  ]);
  return {
    snapshot: String(row?.['snapshot']),
    snapshotAt: String(row?.['at']),
    extensions: extensions.map((each) => ({ name: String(each['extname']), version: String(each['extversion']) })),
    ...(migrations === undefined ? {} : { migrations }),
    schema,
    ...roles,
  };
}

const EXPORT =
  'SELECT pg_export_snapshot() AS snapshot, to_char(clock_timestamp() AT TIME ZONE \'UTC\', \'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"\') AS at';

async function readMigrations(connection: Querier): Promise<SnapshotFacts['migrations']> {
  const [there] = await connection.query(
    "SELECT to_regclass('drizzle.__drizzle_migrations') IS NOT NULL AND has_table_privilege(to_regclass('drizzle.__drizzle_migrations'), 'SELECT') AS readable",
  );
  if (there?.['readable'] !== true) return undefined;
  const [last] = await connection.query(
    'SELECT count(*) OVER ()::int AS applied, hash, created_at::text FROM drizzle.__drizzle_migrations ORDER BY created_at DESC LIMIT 1',
  );
  return last === undefined
    ? { applied: 0, lastHash: '', lastCreatedAt: 0 }
    : { applied: Number(last['applied']), lastHash: String(last['hash']), lastCreatedAt: Number(last['created_at']) };
}

/** Fingerprints the schema. The same database gives the same on the same major version of the server. */
export async function readSchema(connection: Querier): Promise<SchemaPrint> {
  const print: Record<string, { count: number; sha256: string }> = {};
  const rows = await connection.query(SCHEMA_OBJECTS);
  const kinds = new Map<string, string[]>();
  for (const row of rows) {
    const kind = String(row['kind']);
    const lines = kinds.get(kind) ?? [];
    kinds.set(kind, lines);
    lines.push(String(row['definition']));
  }
  for (const [kind, lines] of kinds) {
    // By code units: the collation of the server must have no part in it.
    const sha256 = createHash('sha256').update(lines.toSorted().join('\0')).digest('hex');
    print[kind] = { count: lines.length, sha256 };
  }
  return print;
}

/** Counts the rows of tables, given by their OIDs, in the open snapshot. */
export async function countRows(connection: Querier, tables: readonly number[]): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for (const oid of tables) {
    const [named] = await connection.query(
      "SELECT format('%I.%I', nspname, relname) AS name FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace WHERE pg_class.oid = $1",
      [oid],
    );
    if (named === undefined) continue;
    const name = String(named['name']);
    const [row] = await connection.query(`SELECT count(*)::text AS rows FROM ONLY ${name}`);
    counts.set(name, Number(row?.['rows']));
  }
  return counts;
}
