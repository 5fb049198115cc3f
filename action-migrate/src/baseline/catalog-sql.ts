import { escapeLiteral } from 'pg';

import type { MigrationsTable } from '@neon-fleet/shared/drizzle';

/** What a catalog is read without. */
export interface CatalogScope {
  /** drizzle's own table: it is what baseline writes, and no part of the schema that it compares. */
  readonly table: MigrationsTable;
  /** Schemas that belong to somebody else, such as `neon_auth`. */
  readonly ignoredSchemas: readonly string[];
}

/** As many columns as the reader needs; each part of the query gives them. */
const COLUMNS = 'kind, parent, name, definition';

/**
 * The SQL that describes everything in a database that a migration may have made: one row an object, in PostgreSQL's own
 * words. Several statements, to be sent as one; the last one gives the rows.
 *
 * PostgreSQL writes a name with its schema whenever the search path does not lead to it, so that an empty search path gives
 * the same words whatever the path of a role or database is, and nothing but `pg_catalog` is looked through for functions
 * and operators: a tenant's own cannot take part. The setting lasts to the end of the transaction.
 */
export function catalogSql(scope: CatalogScope): string {
  const parts = [SCHEMAS, RELATIONS, COLUMNS_OF, CONSTRAINTS, INDEXES, TRIGGERS, POLICIES, RULES, TYPES, SEQUENCES];
  return `SELECT pg_catalog.set_config('search_path', '', true);
    WITH ${commonTables(scope)}
    SELECT ${COLUMNS} FROM (${[...parts, FUNCTIONS, EXTENSIONS, SERVER].join('\nUNION ALL\n')}) AS described
    ORDER BY kind COLLATE "C", name COLLATE "C"`;
}

function commonTables({ table, ignoredSchemas }: CatalogScope): string {
  const ignored = ignoredSchemas.length === 0 ? 'NULL' : ignoredSchemas.map((name) => escapeLiteral(name)).join(', ');
  const [schema, name] = [escapeLiteral(table.schema), escapeLiteral(table.table)];
  return `
    member AS MATERIALIZED (SELECT classid, objid FROM pg_depend WHERE deptype = 'e'),
    ns AS MATERIALIZED (
      SELECT n.oid, n.nspname, format('%I', n.nspname) AS name FROM pg_namespace n
       WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND (n.nspname IN (${ignored})) IS NOT TRUE
         AND ${notMember('pg_namespace', 'n.oid')}
    ),
    rel AS MATERIALIZED (
      SELECT c.*, ns.name AS schema, format('%s.%I', ns.name, c.relname) AS name
        FROM pg_class c JOIN ns ON ns.oid = c.relnamespace
       WHERE ${notMember('pg_class', 'c.oid')}
         AND NOT (ns.nspname = ${schema} AND c.relname = ${name} AND c.relkind IN ('r', 'p'))
    ),
    sequence AS MATERIALIZED (
      SELECT c.oid, format('%I.%I', n.nspname, c.relname) AS name,
             concat('AS ', format_type(s.seqtypid, NULL), ' START ', s.seqstart, ' INCREMENT ', s.seqincrement,
                    ' MINVALUE ', s.seqmin, ' MAXVALUE ', s.seqmax, ' CACHE ', s.seqcache,
                    CASE WHEN s.seqcycle THEN ' CYCLE' END) AS options
        FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    ),
    owned AS MATERIALIZED (
      SELECT d.refobjid AS relation, d.refobjsubid AS attribute, s.*, d.deptype = 'i' AS of_identity
        FROM pg_depend d JOIN sequence s ON s.oid = d.objid
       WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0
         AND d.deptype IN ('a', 'i')
    ),
    migrations_schema AS (SELECT ${schema}::text AS name)`;
}

function notMember(catalog: string, oid: string): string {
  return `NOT EXISTS (SELECT FROM member WHERE member.classid = '${catalog}'::regclass AND member.objid = ${oid})`;
}

const SCHEMAS = `
  SELECT 'schema' AS kind, NULL::text AS parent, ns.name, ''::text AS definition
    FROM ns WHERE ns.nspname NOT IN (SELECT name FROM migrations_schema)`;

const RELATIONS = `
  SELECT CASE r.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table' ELSE 'table' END,
         r.schema, r.name,
         CASE WHEN r.relkind IN ('v', 'm')
              THEN concat_ws(' ', 'WITH (' || array_to_string(r.reloptions, ', ') || ')', 'AS', pg_get_viewdef(r.oid))
              ELSE concat_ws(', ',
                CASE WHEN r.relpersistence = 'u' THEN 'unlogged' END,
                'partitioned by ' || pg_get_partkeydef(r.oid),
                (SELECT string_agg(concat(CASE WHEN r.relispartition THEN 'partition of ' ELSE 'inherits from ' END, p.oid::regclass), ', ' ORDER BY i.inhseqno)
                   FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent WHERE i.inhrelid = r.oid),
                pg_get_expr(r.relpartbound, r.oid),
                (SELECT 'of server ' || quote_ident(s.srvname) FROM pg_foreign_table f JOIN pg_foreign_server s ON s.oid = f.ftserver
                  WHERE f.ftrelid = r.oid),
                CASE WHEN r.relrowsecurity THEN 'row level security enabled' END,
                CASE WHEN r.relforcerowsecurity THEN 'row level security forced' END)
         END
    FROM rel r WHERE r.relkind IN ('r', 'p', 'f', 'v', 'm')`;

// A serial column's sequence has whatever name the column once had; that it is the column's own is what counts.
const COLUMNS_OF = `
  SELECT 'column', r.name, format('%s.%I', r.name, a.attname),
         concat_ws(' ',
           format_type(a.atttypid, a.atttypmod),
           (SELECT 'COLLATE ' || format('%I.%I', n.nspname, c.collname)
              FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace
             WHERE c.oid = a.attcollation AND a.attcollation <> t.typcollation),
           CASE a.attgenerated
             WHEN 's' THEN 'GENERATED ALWAYS AS (' || d.expression || ') STORED'
             WHEN 'v' THEN 'GENERATED ALWAYS AS (' || d.expression || ') VIRTUAL'
             ELSE CASE a.attidentity
               WHEN 'a' THEN concat('GENERATED ALWAYS AS IDENTITY (', o.options, ')')
               WHEN 'd' THEN concat('GENERATED BY DEFAULT AS IDENTITY (', o.options, ')')
               ELSE CASE WHEN o.is_default THEN concat('DEFAULT nextval(its own sequence ', o.options, ')')
                         ELSE 'DEFAULT ' || d.expression END
             END
           END,
           CASE WHEN a.attnotnull THEN 'NOT NULL' END)
    FROM rel r
    JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_type t ON t.oid = a.atttypid
    LEFT JOIN LATERAL (SELECT pg_get_expr(ad.adbin, ad.adrelid) AS expression
                         FROM pg_attrdef ad WHERE ad.adrelid = a.attrelid AND ad.adnum = a.attnum) d ON true
    LEFT JOIN LATERAL (SELECT owned.options, d.expression = format('nextval(%L::regclass)', owned.name) AS is_default
                         FROM owned
                        WHERE owned.relation = a.attrelid AND owned.attribute = a.attnum
                          AND (owned.of_identity OR d.expression = format('nextval(%L::regclass)', owned.name))
                        LIMIT 1) o ON true
   WHERE r.relkind IN ('r', 'p', 'f')`;

// From PostgreSQL 18 on NOT NULL is a constraint too; the column says it already. Triggers of constraints are triggers.
const CONSTRAINTS = `
  SELECT 'constraint', r.name, format('%s.%I', r.name, c.conname), pg_get_constraintdef(c.oid)
    FROM pg_constraint c JOIN rel r ON r.oid = c.conrelid WHERE c.contype NOT IN ('n', 't')`;

const INDEXES = `
  SELECT 'index', r.name, format('%s.%I', r.schema, ic.relname),
         concat(pg_get_indexdef(i.indexrelid), CASE WHEN NOT i.indisvalid THEN ' (invalid: it was never built to the end)' END)
    FROM pg_index i JOIN rel r ON r.oid = i.indrelid JOIN pg_class ic ON ic.oid = i.indexrelid
   WHERE NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid AND c.contype IN ('p', 'u', 'x'))`;

const TRIGGERS = `
  SELECT 'trigger', r.name, format('%s.%I', r.name, t.tgname),
         concat(pg_get_triggerdef(t.oid),
                CASE t.tgenabled WHEN 'D' THEN ' (disabled)' WHEN 'R' THEN ' (on replicas only)' WHEN 'A' THEN ' (always)' END)
    FROM pg_trigger t JOIN rel r ON r.oid = t.tgrelid WHERE NOT t.tgisinternal`;

// The owner has another name on every server; what a policy says of it is the same.
const POLICIES = `
  SELECT 'policy', r.name, format('%s.%I', r.name, p.polname),
         concat_ws(' ',
           CASE WHEN p.polpermissive THEN 'AS PERMISSIVE' ELSE 'AS RESTRICTIVE' END,
           'FOR ' || CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
           'TO ' || (SELECT string_agg(role, ', ' ORDER BY role COLLATE "C")
                       FROM (SELECT CASE WHEN u.oid = 0 THEN 'PUBLIC'
                                         WHEN u.oid = r.relowner THEN 'the owner'
                                         ELSE quote_ident(pg_get_userbyid(u.oid)) END AS role
                               FROM unnest(p.polroles) AS u (oid)) roles),
           'USING (' || pg_get_expr(p.polqual, p.polrelid) || ')',
           'WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')')
    FROM pg_policy p JOIN rel r ON r.oid = p.polrelid`;

const RULES = `
  SELECT 'rule', r.name, format('%s.%I', r.name, w.rulename), pg_get_ruledef(w.oid)
    FROM pg_rewrite w JOIN rel r ON r.oid = w.ev_class WHERE w.rulename <> '_RETURN'`;

const TYPES = `
  SELECT CASE t.typtype WHEN 'e' THEN 'enum' WHEN 'd' THEN 'domain' WHEN 'r' THEN 'range' ELSE 'composite type' END,
         ns.name, format('%s.%I', ns.name, t.typname),
         CASE t.typtype
           WHEN 'e' THEN (SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid)
           WHEN 'r' THEN (SELECT 'of ' || format_type(g.rngsubtype, NULL) FROM pg_range g WHERE g.rngtypid = t.oid)
           WHEN 'c' THEN (SELECT string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY a.attnum)
                            FROM pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped)
           ELSE concat_ws(' ',
             format_type(t.typbasetype, t.typtypmod),
             (SELECT 'COLLATE ' || format('%I.%I', n.nspname, c.collname)
                FROM pg_type b, pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace
               WHERE b.oid = t.typbasetype AND c.oid = t.typcollation AND b.typcollation <> t.typcollation),
             'DEFAULT ' || pg_get_expr(t.typdefaultbin, 0),
             CASE WHEN t.typnotnull THEN 'NOT NULL' END,
             (SELECT string_agg(format('CONSTRAINT %I %s', c.conname, pg_get_constraintdef(c.oid)), ' ' ORDER BY c.conname COLLATE "C")
                FROM pg_constraint c WHERE c.contypid = t.oid AND c.contype <> 'n'))
         END
    FROM pg_type t JOIN ns ON ns.oid = t.typnamespace LEFT JOIN pg_class c ON c.oid = t.typrelid
   WHERE (t.typtype IN ('e', 'd', 'r') OR (t.typtype = 'c' AND c.relkind = 'c'))
     AND ${notMember('pg_type', 't.oid')}`;

/** Those that stand for themselves; a column's own are described with it. */
const SEQUENCES = `
  SELECT 'sequence', r.schema, r.name, s.options
    FROM rel r JOIN sequence s ON s.oid = r.oid WHERE r.oid NOT IN (SELECT oid FROM owned)`;

const FUNCTIONS = `
  SELECT CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' ELSE 'function' END,
         ns.name, format('%s.%I(%s)', ns.name, p.proname, pg_get_function_identity_arguments(p.oid)),
         CASE WHEN p.prokind = 'a'
              THEN (SELECT concat_ws(' ', 'SFUNC', g.aggtransfn::regproc, 'STYPE', format_type(g.aggtranstype, NULL),
                                     'FINALFUNC ' || nullif(g.aggfinalfn::oid, 0)::regproc, 'INITCOND ' || quote_literal(g.agginitval))
                      FROM pg_aggregate g WHERE g.aggfnoid = p.oid)
              ELSE btrim(replace(pg_get_functiondef(p.oid), E'\\r\\n', E'\\n'), E' \\n') END
    FROM pg_proc p JOIN ns ON ns.oid = p.pronamespace WHERE ${notMember('pg_proc', 'p.oid')}`;

const EXTENSIONS = `SELECT 'extension', NULL, quote_ident(e.extname), '' FROM pg_extension e`;

const SERVER = `SELECT 'server', NULL, 'version', (current_setting('server_version_num')::int / 10000)::text`;
