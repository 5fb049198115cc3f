import type { Connection } from '@neon-fleet/shared/postgres';

// Of everything that a user can make and pg_dump dumps, without what belongs to the system or came with an extension.
// What is in no schema is the system's own when its number is below 16384 (FirstNormalObjectId); a large object never is.
const OWN_OBJECTS = `
WITH things (kind, catalog, oid, namespace, name) AS (
  SELECT 'relation', 'pg_class'::regclass, oid, relnamespace, relname::text FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'S', 'f', 'c')
  UNION ALL SELECT 'type', 'pg_type'::regclass, oid, typnamespace, typname FROM pg_type WHERE typtype IN ('d', 'e', 'r')
  UNION ALL SELECT 'function', 'pg_proc'::regclass, oid, pronamespace, proname FROM pg_proc
  UNION ALL SELECT 'operator', 'pg_operator'::regclass, oid, oprnamespace, oprname FROM pg_operator
  UNION ALL SELECT 'operator class', 'pg_opclass'::regclass, oid, opcnamespace, opcname FROM pg_opclass
  UNION ALL SELECT 'operator family', 'pg_opfamily'::regclass, oid, opfnamespace, opfname FROM pg_opfamily
  UNION ALL SELECT 'collation', 'pg_collation'::regclass, oid, collnamespace, collname FROM pg_collation
  UNION ALL SELECT 'conversion', 'pg_conversion'::regclass, oid, connamespace, conname FROM pg_conversion
  UNION ALL SELECT 'text search configuration', 'pg_ts_config'::regclass, oid, cfgnamespace, cfgname FROM pg_ts_config
  UNION ALL SELECT 'text search dictionary', 'pg_ts_dict'::regclass, oid, dictnamespace, dictname FROM pg_ts_dict
  UNION ALL SELECT 'text search parser', 'pg_ts_parser'::regclass, oid, prsnamespace, prsname FROM pg_ts_parser
  UNION ALL SELECT 'text search template', 'pg_ts_template'::regclass, oid, tmplnamespace, tmplname FROM pg_ts_template
  UNION ALL SELECT 'schema', 'pg_namespace'::regclass, oid, oid, nspname FROM pg_namespace WHERE nspname <> 'public'
  UNION ALL SELECT 'large object', 'pg_largeobject'::regclass, oid, 0, oid::text FROM pg_largeobject_metadata
  UNION ALL SELECT 'foreign-data wrapper', 'pg_foreign_data_wrapper'::regclass, oid, 0, fdwname FROM pg_foreign_data_wrapper WHERE oid >= 16384
  UNION ALL SELECT 'foreign server', 'pg_foreign_server'::regclass, oid, 0, srvname FROM pg_foreign_server WHERE oid >= 16384
  UNION ALL SELECT 'publication', 'pg_publication'::regclass, oid, 0, pubname FROM pg_publication WHERE oid >= 16384
  UNION ALL SELECT 'subscription', 'pg_subscription'::regclass, s.oid, 0, subname FROM pg_subscription s
    WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
  UNION ALL SELECT 'event trigger', 'pg_event_trigger'::regclass, oid, 0, evtname FROM pg_event_trigger WHERE oid >= 16384
  UNION ALL SELECT 'language', 'pg_language'::regclass, oid, 0, lanname FROM pg_language WHERE oid >= 16384
  UNION ALL SELECT 'access method', 'pg_am'::regclass, oid, 0, amname FROM pg_am WHERE oid >= 16384
  UNION ALL SELECT 'cast', 'pg_cast'::regclass, oid, 0, castsource::regtype || ' AS ' || casttarget::regtype FROM pg_cast WHERE oid >= 16384
), of_extensions AS (
  SELECT classid, objid FROM pg_depend WHERE deptype = 'e'
), own_schemas AS (
  SELECT oid, nspname FROM pg_namespace
  WHERE nspname <> 'information_schema' AND nspname !~ '^pg_'
    AND NOT EXISTS (SELECT FROM of_extensions WHERE classid = 'pg_namespace'::regclass AND objid = pg_namespace.oid)
)
SELECT kind, nspname, name, count(*) OVER ()::int AS total
FROM things LEFT JOIN own_schemas ON own_schemas.oid = namespace
WHERE (namespace = 0 OR own_schemas.oid IS NOT NULL)
  AND NOT EXISTS (SELECT FROM of_extensions WHERE classid = catalog AND objid = things.oid)
ORDER BY kind, nspname, name LIMIT 5`;

/** What a database holds of its users' own: some of it in words, empty when there is nothing. */
export async function ownContents(connection: Pick<Connection, 'query'>): Promise<string> {
  const rows = await connection.query(OWN_OBJECTS);
  const shown = rows.map(({ kind, nspname, name }) => {
    // Schemas, and all that is in none, are known by their name alone.
    const isInSchema = kind !== 'schema' && nspname !== null;
    return `${String(kind)} ${isInSchema ? `${quoted(nspname)}.` : ''}${quoted(name)}`;
  });
  const more = Number(rows[0]?.['total'] ?? 0) - shown.length;
  return shown.join(', ') + (more > 0 ? ` and ${more} more` : '');
}

function quoted(name: unknown): string {
  return `"${String(name).replaceAll('"', '""')}"`;
}
