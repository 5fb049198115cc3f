import { ExplainedError } from '@neon-fleet/shared/errors';
import type { Connection } from '@neon-fleet/shared/postgres';
import { escapeIdentifier } from 'pg';

import { missingRights, type Withheld } from './grants.js';

const LOOK = `SELECT r.rolcanlogin AS login, r.rolname = current_user OR pg_has_role(r.oid, current_user, 'MEMBER') AS owner,
    r.rolsuper OR r.rolcreaterole OR r.rolcreatedb OR r.rolbypassrls OR r.rolreplication
      OR EXISTS (SELECT FROM pg_catalog.pg_roles s WHERE s.rolname = 'neon_superuser' AND pg_has_role(r.oid, s.oid, 'MEMBER')) AS powerful
  FROM pg_catalog.pg_roles r WHERE r.rolname = $1`;

/** `locked`: it is there and has its rights, and nobody can log in as it yet. */
export type RoleState = 'missing' | 'locked' | 'usable';

/**
 * Looks at the role of an application.
 *
 * @throws ExplainedError when it is one that may do more than an application should.
 */
export async function lookAtRole(connection: Pick<Connection, 'query'>, role: string): Promise<RoleState> {
  const [row] = await connection.query(LOOK, [role]);
  if (row === undefined) return 'missing';
  if (row['owner'] === true || row['powerful'] === true) {
    throw new ExplainedError({
      message: `application-role: ${JSON.stringify(role)} may do more than an application should: it ${row['owner'] === true ? 'has the rights of the owner' : 'is a superuser of Neon, or may make roles or databases'}; nothing was changed`,
      hint: 'Choose a name that is free. Roles made in the Neon console or with its API always have these rights; this one is made with SQL.',
    });
  }
  return row['login'] === true ? 'usable' : 'locked';
}

/**
 * Makes the role unless it is there, and gives it what it lacks, in one transaction. It gets no password: nobody can log in
 * until {@link givePassword}. @returns what was done, in words
 */
export async function ensureRole(
  connection: Pick<Connection, 'query'>,
  role: string,
  withheld: Withheld,
): Promise<{ readonly state: RoleState; readonly done: readonly string[]; readonly notes: readonly string[] }> {
  await connection.query('BEGIN');
  try {
    const before = await lookAtRole(connection, role);
    if (before === 'missing') await connection.query(`CREATE ROLE ${escapeIdentifier(role)} NOLOGIN`);
    const { statements, notes } = await missingRights(connection, role, withheld);
    for (const statement of statements) await connection.query(statement);
    await connection.query('COMMIT');
    const made = before === 'missing';
    const granted = statements.length === 0 ? [] : [`gave ${role} ${statements.length} rights that it lacked`];
    return {
      state: made ? 'locked' : before,
      done: made ? [`made the role ${role}`] : granted,
      notes,
    };
  } catch (thrown) {
    await connection.query('ROLLBACK').catch(() => undefined);
    throw thrown;
  }
}

/*
 * The server makes the password itself, of 244 random bits, and gives it back as a row: Neon takes no password that was
 * hashed by a client, and whatever is sent to a server, as text or as parameter, may be in its log. An error would repeat
 * the statement inside, so that only its message is passed on.
 */
const GIVE_PASSWORD = `DO $neon_fleet$
DECLARE secret text := pg_catalog.replace(pg_catalog.gen_random_uuid()::text || pg_catalog.gen_random_uuid()::text, '-', '');
BEGIN
  EXECUTE pg_catalog.format('ALTER ROLE %I LOGIN PASSWORD %L', pg_catalog.current_setting('neon_fleet.role'), secret);
  PERFORM pg_catalog.set_config('neon_fleet.password', secret, true);
EXCEPTION WHEN OTHERS THEN
  RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = SQLERRM;
END $neon_fleet$`;

/**
 * Gives a role a new password, which holds from the end of the transaction that this is called in. The password is a
 * secret: mask it before anything else.
 */
export async function givePassword(connection: Pick<Connection, 'query'>, role: string): Promise<string> {
  await connection.query("SELECT pg_catalog.set_config('neon_fleet.role', $1, true)", [role]);
  await connection.query(GIVE_PASSWORD);
  const [row] = await connection.query("SELECT pg_catalog.current_setting('neon_fleet.password') AS password");
  const password = row?.['password'];
  if (typeof password !== 'string' || password.length < 32) throw new Error('the server made no password');
  return password;
}
