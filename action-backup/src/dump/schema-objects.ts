// Objects that belong to the system or came with an extension are the server's, not the tenant's.
const OWN_SCHEMAS = `nspname <> 'information_schema' AND nspname !~ '^pg_'
  AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_namespace'::regclass AND objid = n.oid AND deptype = 'e')`;
const notOfExtension = (catalog: string, oid: string) =>
  `NOT EXISTS (SELECT FROM pg_depend WHERE classid = '${catalog}'::regclass AND objid = ${oid} AND deptype = 'e')`;

/**
 * All objects of a database with their definitions in words, without what a dump and a restore change: OIDs, owners,
 * grants, and the order of creation.
 */
export const SCHEMA_OBJECTS = `
WITH n AS MATERIALIZED (SELECT oid, nspname FROM pg_namespace n WHERE ${OWN_SCHEMAS}),
c AS MATERIALIZED (
  SELECT pg_class.*, format('%I.%I', nspname, relname) AS full_name FROM pg_class JOIN n ON n.oid = relnamespace
  WHERE ${notOfExtension('pg_class', 'pg_class.oid')}
)
SELECT 'schemas' AS kind, nspname::text AS definition FROM n
UNION ALL
SELECT CASE relkind WHEN 'v' THEN 'views' WHEN 'm' THEN 'materialised views' WHEN 'S' THEN 'sequences' WHEN 'f' THEN 'foreign tables' ELSE 'tables' END,
  concat_ws('|', full_name, relkind, relpersistence, relrowsecurity, relforcerowsecurity, relispartition,
    pg_get_partkeydef(oid), pg_get_expr(relpartbound, oid),
    CASE WHEN relkind IN ('v', 'm') THEN pg_get_viewdef(oid) END, array_to_string(reloptions, ','))
FROM c WHERE relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
UNION ALL
SELECT 'columns', concat_ws('|', full_name, quote_ident(attname), format_type(atttypid, atttypmod), attnotnull, attidentity, attgenerated,
    (SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = attrelid AND adnum = attnum),
    (SELECT format('%I.%I', cn.nspname, collname) FROM pg_collation JOIN pg_namespace cn ON cn.oid = collnamespace
     WHERE pg_collation.oid = attcollation AND collname <> 'default'))
FROM pg_attribute JOIN c ON c.oid = attrelid WHERE attnum > 0 AND NOT attisdropped AND relkind IN ('r', 'p', 'v', 'm', 'f', 'c')
UNION ALL
SELECT 'constraints', concat_ws('|', c.full_name, (SELECT format('%I.%I', n.nspname, typname) FROM pg_type JOIN n ON n.oid = typnamespace WHERE pg_type.oid = contypid),
    quote_ident(conname), convalidated, pg_get_constraintdef(pg_constraint.oid))
FROM pg_constraint JOIN n ON n.oid = connamespace LEFT JOIN c ON c.oid = conrelid
WHERE contype <> 'n' AND (conrelid = 0 OR c.oid IS NOT NULL)
UNION ALL
SELECT 'indexes', concat_ws('|', pg_get_indexdef(indexrelid), indisclustered, indisreplident)
FROM pg_index JOIN c ON c.oid = indrelid WHERE indisvalid
UNION ALL
SELECT 'functions', concat_ws('|', format('%I.%I', nspname, proname), pg_get_function_identity_arguments(p.oid),
    CASE WHEN prokind = 'a' THEN pg_get_function_result(p.oid) ELSE pg_get_functiondef(p.oid) END)
FROM pg_proc p JOIN n ON n.oid = pronamespace WHERE ${notOfExtension('pg_proc', 'p.oid')}
UNION ALL
SELECT 'triggers', concat_ws('|', pg_get_triggerdef(pg_trigger.oid), tgenabled) FROM pg_trigger JOIN c ON c.oid = tgrelid WHERE NOT tgisinternal
UNION ALL
SELECT 'rules', concat_ws('|', c.full_name, pg_get_ruledef(pg_rewrite.oid)) FROM pg_rewrite JOIN c ON c.oid = ev_class
WHERE rulename <> '_RETURN'
UNION ALL
SELECT 'policies', concat_ws('|', c.full_name, quote_ident(polname), polcmd, polpermissive,
    pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid))
FROM pg_policy JOIN c ON c.oid = polrelid
UNION ALL
SELECT 'types', concat_ws('|', format('%I.%I', nspname, typname), typtype, format_type(NULLIF(typbasetype, 0), typtypmod), typnotnull, typdefault,
    (SELECT string_agg(quote_literal(enumlabel), ',' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = t.oid))
FROM pg_type t JOIN n ON n.oid = typnamespace WHERE typtype IN ('d', 'e', 'r') AND ${notOfExtension('pg_type', 't.oid')}
UNION ALL
SELECT 'sequences', concat_ws('|', c.full_name, format_type(seqtypid, NULL), seqstart, seqincrement, seqmax, seqmin, seqcache, seqcycle)
FROM pg_sequence JOIN c ON c.oid = seqrelid
UNION ALL
SELECT 'extensions', quote_ident(extname) FROM pg_extension
UNION ALL
SELECT 'comments', concat_ws('|', classoid::regclass, (pg_identify_object(classoid, objoid, objsubid)).identity, description)
FROM pg_description JOIN c ON classoid = 'pg_class'::regclass AND c.oid = objoid`;
