import type { Connection, Row } from '@neon-fleet/shared/postgres';
import { escapeIdentifier } from 'pg';

/** What the application does not get at: drizzle's own table, and the schema that it is in unless customers' tables are. */
export interface Withheld {
  readonly schema: string;
  readonly table: string;
}

/** Where seeds are recorded. */
const OWN_SCHEMA = 'neon_fleet';

const SHARED_SCHEMA = 'public';

// Everything below is about what the connected role, the owner, may grant; what extensions brought along is theirs.
const SCHEMAS = `SELECT n.nspname AS schema, NOT has_schema_privilege($1::name, n.oid, 'USAGE') AS closed,
    ARRAY(SELECT p FROM unnest('{SELECT,INSERT,UPDATE,DELETE}'::text[]) AS p WHERE NOT ${promised('r', 'p')}) AS tables,
    ARRAY(SELECT p FROM unnest('{USAGE}'::text[]) AS p WHERE NOT ${promised('S', 'p')}) AS sequences
  FROM pg_catalog.pg_namespace n
  WHERE n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema' AND n.nspname <> ALL ($2::text[])
    AND (n.nspname = '${SHARED_SCHEMA}' OR pg_has_role(n.nspowner, 'USAGE')) AND has_schema_privilege(n.oid, 'CREATE')
  ORDER BY 1`;

const OBJECTS = `SELECT n.nspname AS schema, c.relname AS name, c.relkind = 'S' AS sequence,
    ARRAY(SELECT p FROM unnest('{SELECT,INSERT,UPDATE,DELETE}'::text[]) AS p
      WHERE c.relkind <> 'S' AND NOT has_table_privilege($1::name, c.oid, p)) AS missing,
    c.relkind = 'S' AND NOT has_sequence_privilege($1::name, CASE WHEN c.relkind = 'S' THEN c.oid END, 'USAGE') AS unusable
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND n.nspname = ANY ($2::text[]) AND pg_has_role(c.relowner, 'USAGE')
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
      WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
  ORDER BY 1, 2`;

/** Whether the owner's default privileges in a schema already give the application a privilege on new objects. */
function promised(objects: 'r' | 'S', privilege: string): string {
  return `EXISTS (SELECT FROM pg_catalog.pg_default_acl d CROSS JOIN LATERAL aclexplode(d.defaclacl) a
    WHERE d.defaclnamespace = n.oid AND d.defaclrole = (SELECT o.oid FROM pg_catalog.pg_roles o WHERE o.rolname = current_user) AND d.defaclobjtype = '${objects}'
      AND a.grantee = (SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolname = $1::name) AND a.privilege_type = ${privilege})`;
}

// Always one row: a database whose schema public was dropped is one to connect to as well.
const DATABASE = `SELECT current_database() AS name, NOT has_database_privilege($1::name, current_database(), 'CONNECT') AS closed,
  EXISTS (SELECT FROM pg_catalog.pg_namespace n
    WHERE n.nspname = '${SHARED_SCHEMA}' AND has_schema_privilege($1::name, n.oid, 'CREATE')) AS creates`;

const WITHHELD = `SELECT EXISTS (SELECT FROM unnest('{SELECT,INSERT,UPDATE,DELETE}'::text[]) AS p
    WHERE has_table_privilege($1::name, c.oid, p)) AS given
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = $2 AND c.relname = $3 AND pg_has_role(c.relowner, 'USAGE')`;

/** The statements that are missing until the role has the rights of an application, and no others. */
export interface MissingRights {
  readonly statements: readonly string[];
  /** What cannot be had from here, in words. */
  readonly notes: readonly string[];
}

/** Reads what an application's role lacks: to connect, to use schemas and sequences, and to read and write tables. */
export async function missingRights(
  connection: Pick<Connection, 'query'>,
  role: string,
  { schema, table }: Withheld,
): Promise<MissingRights> {
  const grantee = escapeIdentifier(role);
  const closed = [OWN_SCHEMA, ...(schema === SHARED_SCHEMA ? [] : [schema])];
  const schemas = await connection.query(SCHEMAS, [role, closed]);
  const objects = await connection.query(OBJECTS, [role, schemas.map((row) => String(row['schema']))]);
  const [database] = await connection.query(DATABASE, [role]);
  const [withheld] = await connection.query(WITHHELD, [role, schema, table]);
  const creates = database?.['creates'] === true;
  return {
    statements: [
      ...(database?.['closed'] === true
        ? [`GRANT CONNECT ON DATABASE ${escapeIdentifier(String(database['name']))} TO ${grantee}`]
        : []),
      ...schemas.flatMap((row) => schemaStatements(row, grantee)),
      ...objects
        .filter((row) => row['schema'] !== schema || row['name'] !== table)
        .flatMap((row) => objectStatements(row, grantee)),
      ...(withheld?.['given'] === true
        ? [`REVOKE ALL ON TABLE ${escapeIdentifier(schema)}.${escapeIdentifier(table)} FROM ${grantee}`]
        : []),
    ],
    notes: creates ? [`everybody may create objects in the schema ${SHARED_SCHEMA} of this database, ${role} too`] : [],
  };
}

function schemaStatements(row: Row, grantee: string): string[] {
  const schema = escapeIdentifier(String(row['schema']));
  const later = (objects: string, privileges: unknown) => {
    const list = words(privileges);
    return list.length === 0
      ? []
      : [`ALTER DEFAULT PRIVILEGES IN SCHEMA ${schema} GRANT ${list.join(', ')} ON ${objects} TO ${grantee}`];
  };
  return [
    ...(row['closed'] === true ? [`GRANT USAGE ON SCHEMA ${schema} TO ${grantee}`] : []),
    ...later('TABLES', row['tables']),
    ...later('SEQUENCES', row['sequences']),
  ];
}

function objectStatements(row: Row, grantee: string): string[] {
  const object = `${escapeIdentifier(String(row['schema']))}.${escapeIdentifier(String(row['name']))}`;
  if (row['sequence'] === true) {
    return row['unusable'] === true ? [`GRANT USAGE ON SEQUENCE ${object} TO ${grantee}`] : [];
  }
  const missing = words(row['missing']);
  return missing.length === 0 ? [] : [`GRANT ${missing.join(', ')} ON TABLE ${object} TO ${grantee}`];
}

function words(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : [];
}
