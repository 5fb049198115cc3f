import { randomBytes } from 'node:crypto';

import type { Manifest } from '@neon-fleet/shared/backups';
import type { Connection } from '@neon-fleet/shared/postgres';

import { createRolesSql, databaseGrantsSql, grantsSql, type NewRole } from './role-sql.js';
import { isSystemRole } from './roles.js';

/** What brings a tenant's roles and their rights to a target. */
export interface RolesPlan {
  /** Those that the target does not have, each with a password of its own if it may log in. */
  readonly created: readonly NewRole[];
  readonly before: string;
  readonly after: string;
}

/** Plans what is to be done about roles, by what the target has already. */
export async function planRoles(
  connection: Pick<Connection, 'query'>,
  { contents }: Manifest,
  database: string,
): Promise<RolesPlan> {
  if (contents === undefined) return { created: [], before: '', after: '' };
  const rows = await connection.query('SELECT rolname FROM pg_roles');
  const existing = new Set(rows.map((row) => String(row['rolname'])));
  const created = contents.roles
    .filter(({ name }) => !existing.has(name) && !isSystemRole(name))
    .map((role) => (role.login ? { ...role, password: newPassword() } : role));
  const members = await connection.query(
    'SELECT r.rolname AS role, m.rolname AS member FROM pg_auth_members JOIN pg_roles r ON r.oid = roleid JOIN pg_roles m ON m.oid = member',
  );
  const there = new Set(members.map((row) => JSON.stringify([row['role'], row['member']])));
  const memberships = contents.memberships.filter(({ role, member }) => !there.has(JSON.stringify([role, member])));
  const known = new Set([...existing, ...created.map(({ name }) => name)]);
  return {
    created,
    before: createRolesSql(created),
    after: grantsSql({ ...contents, memberships }, known) + databaseGrantsSql(contents.grants, database, known),
  };
}

/** Long enough for Neon, which wants 60 bits of entropy. */
function newPassword(): string {
  return randomBytes(24).toString('base64url');
}
