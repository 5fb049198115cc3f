import type { Connection } from '@neon-fleet/shared/postgres';

// Of everything that a user can make, without what belongs to the system or came with an extension.
const OWN_OBJECTS = `
WITH own_schemas AS (
  SELECT oid, nspname FROM pg_namespace
  WHERE nspname <> 'information_schema' AND nspname !~ '^pg_'
    AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_namespace'::regclass AND objid = pg_namespace.oid AND deptype = 'e')
), objects AS (
  SELECT 'relation' AS kind, nspname, relname AS name FROM pg_class JOIN own_schemas ON own_schemas.oid = relnamespace
  WHERE relkind IN ('r', 'p', 'v', 'm', 'S', 'f', 'c')
    AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid AND deptype = 'e')
  UNION ALL
  SELECT 'type', nspname, typname FROM pg_type JOIN own_schemas ON own_schemas.oid = typnamespace
  WHERE typtype IN ('d', 'e', 'r')
    AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_type'::regclass AND objid = pg_type.oid AND deptype = 'e')
  UNION ALL
  SELECT 'function', nspname, proname FROM pg_proc JOIN own_schemas ON own_schemas.oid = pronamespace
  WHERE NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = pg_proc.oid AND deptype = 'e')
  UNION ALL
  SELECT 'schema', nspname, nspname FROM own_schemas WHERE nspname <> 'public'
)
SELECT kind, nspname, name, count(*) OVER ()::int AS total FROM objects ORDER BY kind, nspname, name LIMIT 5`;

/** What a database holds of its users' own: some of it in words, empty when there is nothing. */
export async function ownContents(connection: Pick<Connection, 'query'>): Promise<string> {
  const rows = await connection.query(OWN_OBJECTS);
  const shown = rows.map((row) =>
    row['kind'] === 'schema'
      ? `schema ${quoted(row['nspname'])}`
      : `${String(row['kind'])} ${quoted(row['nspname'])}.${quoted(row['name'])}`,
  );
  const more = Number(rows[0]?.['total'] ?? 0) - shown.length;
  return shown.join(', ') + (more > 0 ? ` and ${more} more` : '');
}

function quoted(name: unknown): string {
  return `"${String(name).replaceAll('"', '""')}"`;
}
