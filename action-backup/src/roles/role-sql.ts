import type { DefaultGrants, Membership, ObjectGrants, Role } from '@neon-fleet/shared/backups';

import { isSystemRole, type RolesAndGrants } from './roles.js';

/** A role to make, with the password that it gets; absent: it cannot log in until somebody gives it one. */
export type NewRole = Role & { readonly password?: string };

/** What makes roles, each unless it is there. Everything in it is quoted: a manifest is not trusted. */
export function createRolesSql(roles: readonly NewRole[]): string {
  return roles
    .filter(({ name }) => !isSystemRole(name))
    .map((role) => {
      const create = `CREATE ROLE ${quoted(role.name)} ${attributesOf(role)}`;
      const guarded = `BEGIN ${create}; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END`;
      return `DO ${literal(guarded)};\n`;
    })
    .join('');
}

function attributesOf(role: NewRole): string {
  return [
    role.login ? 'LOGIN' : 'NOLOGIN',
    role.inherit ? 'INHERIT' : 'NOINHERIT',
    ...(role.createDb ? ['CREATEDB'] : []),
    ...(role.createRole ? ['CREATEROLE'] : []),
    ...(role.bypassRls ? ['BYPASSRLS'] : []),
    ...(role.connectionLimit >= 0 ? [`CONNECTION LIMIT ${role.connectionLimit}`] : []),
    ...(role.password === undefined ? [] : [`PASSWORD ${literal(role.password)}`]),
  ].join(' ');
}

/**
 * What gives back memberships and grants. Every object is first brought to nothing for PUBLIC, since what was recorded is
 * all there was.
 *
 * @param existing roles that the target has: what names another one is left out.
 */
export function grantsSql(
  { memberships, grants, defaultGrants }: Omit<RolesAndGrants, 'roles'>,
  existing: ReadonlySet<string>,
): string {
  const known = (role: string | undefined) => role === undefined || existing.has(role);
  return [
    ...memberships.filter(({ role, member }) => known(role) && known(member)).map(membershipSql),
    ...grants.flatMap((object) => objectSql(object, known)),
    ...defaultGrants.filter(({ owner, to }) => known(owner) && known(to)).map(defaultSql),
  ]
    .map((statement) => `${statement};\n`)
    .join('');
}

function membershipSql({ role, member, admin }: Membership): string {
  return `GRANT ${quoted(role)} TO ${quoted(member)}${admin ? ' WITH ADMIN OPTION' : ''}`;
}

function objectSql(object: ObjectGrants, known: (role: string | undefined) => boolean): string[] {
  const place = placeOf(object);
  if (place === undefined) return [];
  const columns = object.column === undefined ? '' : ` (${quoted(object.column)})`;
  const grants = object.grants
    .filter(({ to }) => known(to))
    .map(({ to, privileges, grantable }) => {
      const list = privileges.map((privilege) => `${privilege}${columns}`).join(', ');
      return `GRANT ${list} ON ${place} TO ${to === undefined ? 'PUBLIC' : quoted(to)}${grantable ? ' WITH GRANT OPTION' : ''}`;
    });
  return object.kind === 'column' ? grants : [`REVOKE ALL ON ${place} FROM PUBLIC`, ...grants];
}

function placeOf({ kind, schema = '', name = '', arguments: types = '' }: ObjectGrants): string | undefined {
  const full = `${quoted(schema)}.${quoted(name)}`;
  switch (kind) {
    case 'table':
    case 'column':
      return `TABLE ${full}`;
    case 'sequence':
      return `SEQUENCE ${full}`;
    case 'routine':
      // The only text that is not quoted here: names of types, which must look like such.
      return isTypeList(types) ? `ROUTINE ${full}(${types})` : undefined;
    case 'schema':
      return `SCHEMA ${quoted(schema)}`;
    case 'type':
      return `TYPE ${full}`;
    case 'database':
      return undefined;
  }
}

/** Names of types with their schemas and modifiers, quoted or not, with commas between them, and nothing else. */
export function isTypeList(types: string): boolean {
  // A quote that is doubled never ends a name, so that there is one way only to read a text, and reading it takes no time.
  return /^(?:"(?:[^"\0]|"")+"(?!")|[\p{L}\p{N}_$., ]|\(\d+(?:,\d+)?\)|\[\])*$/u.test(types);
}

function defaultSql({ owner, schema, objects, to, privileges, grantable }: DefaultGrants): string {
  return [
    'ALTER DEFAULT PRIVILEGES',
    ...(owner === undefined ? [] : [`FOR ROLE ${quoted(owner)}`]),
    ...(schema === undefined ? [] : [`IN SCHEMA ${quoted(schema)}`]),
    `GRANT ${privileges.join(', ')} ON ${objects} TO ${to === undefined ? 'PUBLIC' : quoted(to)}${grantable ? ' WITH GRANT OPTION' : ''}`,
  ].join(' ');
}

/** The right to connect and the like: named by the database, which has another name at the target. */
export function databaseGrantsSql(
  grants: readonly ObjectGrants[],
  database: string,
  existing: ReadonlySet<string>,
): string {
  return grants
    .filter(({ kind }) => kind === 'database')
    .flatMap((object) =>
      object.grants
        .filter(({ to }) => to === undefined || existing.has(to))
        .map(
          ({ to, privileges, grantable }) =>
            `GRANT ${privileges.join(', ')} ON DATABASE ${quoted(database)} TO ${to === undefined ? 'PUBLIC' : quoted(to)}${grantable ? ' WITH GRANT OPTION' : ''};\n`,
        ),
    )
    .join('');
}

export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

export function literal(text: string): string {
  // The E form is the same whatever standard_conforming_strings says.
  return `E'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
