import {
  PRIVILEGES,
  type DefaultGrants,
  type Membership,
  type ObjectGrants,
  type Role,
} from '@neon-fleet/shared/backups';
import type { Connection } from '@neon-fleet/shared/postgres';

export interface RolesAndGrants {
  readonly roles: readonly Role[];
  readonly memberships: readonly Membership[];
  readonly grants: readonly ObjectGrants[];
  readonly defaultGrants: readonly DefaultGrants[];
}

/** Neon's own: they exist wherever a database of Neon's does, and are nobody's to make. */
const NEONS_OWN = new Set(['cloud_admin', 'neon_superuser', 'neon_service', 'web_access', 'databricks_superuser']);

/** Whether a role is the system's or Neon's and never made by a restore. */
export function isSystemRole(role: string): boolean {
  return role.startsWith('pg_') || NEONS_OWN.has(role);
}

const ACLS = `
WITH n AS (
  SELECT oid, nspname, nspowner, nspacl FROM pg_namespace n WHERE nspname <> 'information_schema' AND nspname !~ '^pg_'
    AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_namespace'::regclass AND objid = n.oid AND deptype = 'e')
), c AS (
  SELECT pg_class.*, nspname FROM pg_class JOIN n ON n.oid = relnamespace WHERE relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
    AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid AND deptype = 'e')
), acls AS (
  SELECT CASE relkind WHEN 'S' THEN 'sequence' ELSE 'table' END AS kind, nspname::text AS schema, relname::text AS name,
    NULL::text AS column, NULL::text AS arguments, relowner AS owner, relacl AS acl FROM c
  UNION ALL
  SELECT 'column', nspname, relname, attname, NULL, relowner, attacl FROM pg_attribute JOIN c ON c.oid = attrelid WHERE attnum > 0 AND NOT attisdropped
  UNION ALL
  SELECT 'routine', nspname, proname, NULL,
    (SELECT coalesce(string_agg(format_type(t, NULL), ', ' ORDER BY i), '') FROM unnest(proargtypes) WITH ORDINALITY AS a (t, i)), proowner, proacl
  FROM pg_proc p JOIN n ON n.oid = pronamespace
  WHERE NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = p.oid AND deptype = 'e')
  UNION ALL
  SELECT 'schema', nspname, NULL, NULL, NULL, nspowner, nspacl FROM n
  UNION ALL
  SELECT 'type', nspname, typname, NULL, NULL, typowner, typacl FROM pg_type t JOIN n ON n.oid = typnamespace
  WHERE NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_type'::regclass AND objid = t.oid AND deptype = 'e')
  UNION ALL
  SELECT 'database', NULL, NULL, NULL, NULL, datdba, datacl FROM pg_database WHERE datname = current_database()
)
SELECT kind, schema, name, acls.column, arguments, (a).grantee = 0 AS everybody,
  (SELECT rolname FROM pg_roles WHERE oid = (a).grantee) AS grantee, (a).privilege_type AS privilege, (a).is_grantable AS grantable, (a).grantee = owner AS owners
FROM acls LEFT JOIN LATERAL aclexplode(acl) a ON true WHERE acl IS NOT NULL
ORDER BY kind, schema, name, acls.column, arguments, grantee NULLS FIRST, grantable, privilege`;

const DEFAULT_ACLS = `
SELECT o.rolname AS owner, nspname AS schema, defaclobjtype AS objtype, (a).grantee = 0 AS everybody, g.rolname AS grantee,
  (a).privilege_type AS privilege, (a).is_grantable AS grantable
FROM pg_default_acl JOIN pg_roles o ON o.oid = defaclrole LEFT JOIN pg_namespace n ON n.oid = defaclnamespace
  CROSS JOIN LATERAL aclexplode(defaclacl) a LEFT JOIN pg_roles g ON g.oid = (a).grantee
WHERE (a).grantee <> defaclrole ORDER BY 1, 2, 3, 5, 7, 6`;

const OBJECT_TYPES: Readonly<Record<string, DefaultGrants['objects']>> = {
  r: 'TABLES',
  S: 'SEQUENCES',
  f: 'FUNCTIONS',
  T: 'TYPES',
  n: 'SCHEMAS',
};

/**
 * Reads who may do what in a database: the roles that its grants and policies name, those that these are members of or
 * have as members, and the grants themselves.
 *
 * @param owner the role that dumps, and owns what is restored elsewhere.
 */
export async function readRoles(connection: Pick<Connection, 'query'>, owner: string): Promise<RolesAndGrants> {
  const [acls, defaultAcls, policies, members] = await Promise.all([
    connection.query(ACLS),
    connection.query(DEFAULT_ACLS),
    connection.query(
      'SELECT DISTINCT rolname FROM pg_policy CROSS JOIN unnest(polroles) AS r JOIN pg_roles ON pg_roles.oid = r',
    ),
    connection.query(
      'SELECT r.rolname AS role, m.rolname AS member, bool_or(admin_option) AS admin FROM pg_auth_members JOIN pg_roles r ON r.oid = roleid JOIN pg_roles m ON m.oid = member GROUP BY 1, 2 ORDER BY 1, 2',
    ),
  ]);
  const grants = collectGrants(acls);
  const defaultGrants = collectDefaults(defaultAcls, owner);
  const memberships = members.map((row): Membership => ({
    role: String(row['role']),
    member: String(row['member']),
    admin: row['admin'] === true,
  }));
  const named = [
    ...grants.flatMap(({ grants: each }) => each.flatMap(({ to }) => to ?? [])),
    ...defaultGrants.flatMap(({ owner: role, to }) => [role, to].filter((each) => each !== undefined)),
    ...policies.map((row) => String(row['rolname'])),
  ];
  const wanted = closure(named, memberships, owner);
  const rows = await connection.query(
    'SELECT rolname, rolcanlogin, rolinherit, rolcreatedb, rolcreaterole, rolbypassrls, rolconnlimit FROM pg_roles WHERE rolname = ANY ($1) AND NOT rolsuper ORDER BY rolname',
    [[...wanted]],
  );
  const roles = rows.map((row): Role => ({
    name: String(row['rolname']),
    login: row['rolcanlogin'] === true,
    inherit: row['rolinherit'] === true,
    createDb: row['rolcreatedb'] === true,
    createRole: row['rolcreaterole'] === true,
    bypassRls: row['rolbypassrls'] === true,
    connectionLimit: Number(row['rolconnlimit']),
  }));
  const known = new Set(roles.map((role) => role.name));
  return {
    roles,
    memberships: memberships.filter(({ role, member }) => (known.has(role) || isSystemRole(role)) && known.has(member)),
    grants,
    defaultGrants,
  };
}

/** The roles named, what these are members of, and who is a member of them; without the system's and the owner. */
function closure(named: readonly string[], memberships: readonly Membership[], owner: string): Set<string> {
  const isWanted = (role: string) => role !== owner && !isSystemRole(role);
  const wanted = new Set(named.filter(isWanted));
  for (let before = -1; before !== wanted.size;) {
    before = wanted.size;
    for (const { role, member } of memberships) {
      if (wanted.has(role) && isWanted(member)) wanted.add(member);
      if (wanted.has(member) && isWanted(role)) wanted.add(role);
    }
  }
  return wanted;
}

type Rows = Awaited<ReturnType<Connection['query']>>;

function collectGrants(rows: Rows): ObjectGrants[] {
  const objects = new Map<string, ObjectGrants>();
  for (const row of rows) {
    const text = (column: string) => textOf(row[column]);
    const id = {
      kind: String(row['kind']) as ObjectGrants['kind'],
      ...optional('schema', text('schema')),
      ...optional('name', text('name')),
      ...optional('column', text('column')),
      ...optional('arguments', text('arguments')),
    };
    const key = JSON.stringify(id);
    const object = objects.get(key) ?? { ...id, grants: [] };
    objects.set(key, object);
    // No row at all: everything was revoked. The owner's own go with the owner.
    if (row['privilege'] === null || row['owners'] === true) continue;
    if (row['everybody'] !== true && row['grantee'] === null) continue;
    addGrant(object.grants, row);
  }
  return [...objects.values()].filter(({ grants, kind }) => grants.length > 0 || kind !== 'column');
}

function addGrant(grants: ObjectGrants['grants'], row: Rows[number]): void {
  const privilege = PRIVILEGES.find((each) => each === row['privilege']);
  if (privilege === undefined) return;
  const to = row['everybody'] === true ? undefined : String(row['grantee']);
  const grantable = row['grantable'] === true;
  const same = grants.find((grant) => grant.to === to && grant.grantable === grantable);
  if (same === undefined) grants.push({ ...optional('to', to), privileges: [privilege], grantable });
  else same.privileges.push(privilege);
}

function collectDefaults(rows: Rows, owner: string): DefaultGrants[] {
  return rows.flatMap((row): DefaultGrants[] => {
    const objects = OBJECT_TYPES[String(row['objtype'])];
    const privilege = PRIVILEGES.find((each) => each === row['privilege']);
    const role = String(row['owner']);
    // Those of Neon's own role are there in every project, and nobody else may set them.
    if (objects === undefined || privilege === undefined || isSystemRole(role)) return [];
    return [
      {
        ...(role === owner ? {} : { owner: role }),
        ...optional('schema', textOf(row['schema'])),
        objects,
        ...(row['everybody'] === true ? {} : { to: String(row['grantee']) }),
        privileges: [privilege],
        grantable: row['grantable'] === true,
      },
    ];
  });
}

function optional<Name extends string>(key: Name, value: string | undefined): Partial<Record<Name, string>> {
  return value === undefined ? {} : ({ [key]: value } as Record<Name, string>);
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
