import { ExplainedError } from '@neon-fleet/shared/errors';
import { connect, parseConnectionUri, takeLock, type Connection } from '@neon-fleet/shared/postgres';

import type { Withheld } from './grants.js';
import { ensureRole, givePassword, lookAtRole } from './role.js';

/** Hands on a URI, which is masked already. Gives where to, for the detail of the outcome; empty: nothing to be said. */
export type HandOn = (uri: string) => Promise<string>;

export interface ApplicationRoleOptions {
  readonly role: string;
  readonly withheld: Withheld;
  readonly lockWaitMs: number;
  readonly authorities: readonly string[] | undefined;
  readonly signal: AbortSignal;
  readonly note: (line: string) => void;
  /** Called with a new password before anything else. */
  readonly mask: (secret: string) => void;
  /**
   * Hands a new URI on before its password begins to hold, and says where. Absent: there is nobody to take it, and a role
   * that has no password yet gets none.
   */
  readonly handOn?: HandOn | undefined;
}

/** What became of the role. */
export interface ProvidedRole {
  /** In words; empty: nothing had to be done. */
  readonly done: readonly string[];
  /** The connection of the application, when it has a password that was made now. A secret. */
  readonly uri?: string;
  /** That nobody can log in as it, as nobody would be told the password. */
  readonly isLocked: boolean;
}

/** The tenant is being worked on by another run. */
export class TenantLocked extends Error {}

/**
 * Makes sure that the application's role is there, with its rights and no more. A password is given once: a role that can
 * log in keeps its own.
 *
 * @throws ExplainedError, PostgresError; TenantLocked.
 */
export async function provideApplicationRole(ownerUri: string, options: ApplicationRoleOptions): Promise<ProvidedRole> {
  const { role, withheld, note, handOn } = options;
  return underLock(ownerUri, options, async (connection) => {
    const { state, done, notes } = await ensureRole(connection, role, withheld);
    notes.forEach(note);
    if (state === 'usable') return { done, isLocked: false };
    if (handOn === undefined) return { done, isLocked: true };
    const { uri, where } = await newPassword(connection, ownerUri, handOn, options);
    return { done: [...done, `gave ${role} a password${where}`], uri, isLocked: false };
  });
}

/** Gives the application's role a new password. @throws as above, and ExplainedError when there is no such role. */
export async function rotateApplicationRole(
  ownerUri: string,
  options: ApplicationRoleOptions & { readonly handOn: HandOn },
): Promise<{ readonly done: readonly string[]; readonly uri: string }> {
  const { role, handOn } = options;
  return underLock(ownerUri, options, async (connection) => {
    if ((await lookAtRole(connection, role)) === 'missing') {
      throw new ExplainedError({
        message: `there is no role ${JSON.stringify(role)} yet, which application-role names`,
        hint: '`command: apply` makes it.',
      });
    }
    const { uri, where } = await newPassword(connection, ownerUri, handOn, options);
    return { done: [`new password for ${role}, connected with it${where}`], uri };
  });
}

/**
 * The URI is handed on inside the transaction: when that fails, or the process is killed, the old password still holds, or
 * the role still cannot log in, and the next run begins anew.
 */
async function newPassword(
  connection: Connection,
  ownerUri: string,
  handOn: HandOn,
  { role, mask, authorities, signal }: ApplicationRoleOptions,
): Promise<{ readonly uri: string; readonly where: string }> {
  let uri: string;
  let where: string;
  await connection.query('BEGIN');
  try {
    const password = await givePassword(connection, role);
    mask(password);
    uri = asRole(ownerUri, role, password);
    mask(uri);
    where = await handOn(uri);
  } catch (thrown) {
    await connection.query('ROLLBACK').catch(() => undefined);
    throw thrown;
  }
  // Whether it holds is found out by using it, also when the answer to this is lost.
  const failure = await connection.query('COMMIT').then(
    () => undefined,
    (thrown: unknown) => ({ thrown }),
  );
  try {
    const options = { signal, authorities, applicationName: 'neon-fleet provision' };
    await (await connect(parseConnectionUri(uri), options)).close();
  } catch (thrown) {
    throw failure === undefined ? thrown : failure.thrown;
  }
  return { uri, where };
}

async function underLock<T>(
  ownerUri: string,
  { lockWaitMs, authorities, signal }: ApplicationRoleOptions,
  work: (connection: Connection) => Promise<T>,
): Promise<T> {
  const connection = await connect(parseConnectionUri(ownerUri), {
    signal,
    authorities,
    applicationName: 'neon-fleet provision',
  });
  try {
    if (!(await takeLock(connection, { mode: 'exclusive', waitMs: lockWaitMs, signal }))) throw new TenantLocked();
    // A role or table that somebody else is changing is waited for a moment, and customers behind it no longer.
    await connection.query("SET lock_timeout = '5s'");
    return await work(connection);
  } finally {
    await connection.close();
  }
}

/** The same connection as another role. */
export function asRole(uri: string, role: string, password: string): string {
  const url = new URL(uri);
  url.username = encodeURIComponent(role);
  url.password = encodeURIComponent(password);
  return url.href;
}
