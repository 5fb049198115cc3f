import { type Manifest, openObject } from '@neon-fleet/shared/backups';
import type { TenantResult } from '@neon-fleet/shared/fleet';
import {
  parseConnectionUri,
  placeOf,
  takeLock,
  type Connection,
  type ConnectionTarget,
} from '@neon-fleet/shared/postgres';
import type { ObjectStore } from '@neon-fleet/shared/s3';

import { planRoles, type RolesPlan } from '../roles/plan-roles.js';
import { sizeWords } from '../words/sizes.js';
import { clientFor, loadAny } from './load-any.js';
import { markSql, readMark } from './mark.js';
import type { RestoreSurroundings } from './surroundings.js';
import { ownContents } from './target-contents.js';
import { checkServer, connectToTarget, isSource, isTheSource, notEmpty } from './target.js';

/** Where and how to restore. */
export interface RestoreSettings {
  /** A secret. */
  readonly targetUrl: string;
  readonly allowNonEmpty: boolean;
  /** How long to wait for somebody else who works on the target. */
  readonly lockWait: number;
  /** Whether roles, memberships and grants are brought back. */
  readonly restoreRoles?: boolean;
  /** How many connections load a custom dump; default: one for each core. */
  readonly jobs?: number | undefined;
  /** Told of every password before anything else can see it, and before it is known whether its role will be made. */
  readonly onPassword?: (password: string) => void;
  /** Told of every role that was made and may log in. */
  readonly onRole?: (role: string, password: string) => void;
  /** Whether the database is made when the server does not have it. */
  readonly createMissing?: boolean;
  /**
   * Whether the database is to say which backup it holds, so that a second run finds a restore that is done: for databases
   * that are there for this restore only.
   */
  readonly mark?: boolean;
  /**
   * Makes the roles before the dump is loaded, and not in its transaction: where many databases of one server are loaded at
   * the same time, each would wait for the others until they have been. Absent: with a plain dump, so that a failure leaves
   * none.
   */
  readonly makeRoles?: (work: () => Promise<void>) => Promise<void>;
}

/**
 * Loads a backup into the database of `targetUrl`.
 *
 * @throws ExplainedError, and the target is as it was; the one exception is a custom dump that fails half way.
 */
export async function restoreInto(
  settings: RestoreSettings,
  manifest: Manifest,
  store: Pick<ObjectStore, 'head' | 'getRange'>,
  { clients, trust, authorities, env }: RestoreSurroundings,
  signal: AbortSignal,
): Promise<TenantResult> {
  const { allowNonEmpty, lockWait, createMissing, mark } = settings;
  const target = parseConnectionUri(settings.targetUrl);
  if (isSource(manifest, target)) throw isTheSource(manifest, placeOf(target));
  const object = await openObject(store, manifest, signal);
  const client = await clientFor(manifest, clients);
  const connection = await connectToTarget(target, { signal, authorities }, createMissing);
  try {
    if (!(await takeLock(connection, { mode: 'exclusive', waitMs: lockWait, signal }))) {
      return { status: 'skipped', reason: 'locked', detail: 'another run works on the target; it was left as it was' };
    }
    await connection.query('SET idle_session_timeout = 0');
    if (mark === true && (await readMark(connection)) === manifest.key) return isThereAlready(manifest, target);
    const targetMajor = await checkServer(connection, manifest, target);
    const contents = allowNonEmpty ? '' : await ownContents(connection);
    if (contents !== '') throw notEmpty(placeOf(target), contents);
    const roles = await bringRoles(connection, manifest, target, settings);
    await loadAny({
      client,
      target,
      targetMajor,
      rootCertificates: trust.rootCertificatesFor(client.major),
      env,
      manifest,
      object,
      connection,
      before: roles.before,
      after: roles.after + (mark === true ? markSql(manifest.key) : ''),
      jobs: settings.jobs,
      signal,
    });
    roles.tell();
    const made = roles.made === 0 ? '' : `, ${roles.made} roles made`;
    return {
      status: 'succeeded',
      detail: `${manifest.key} of ${manifest.finishedAt} is in ${placeOf(target)}, ${sizeWords(manifest.dumpBytes)}${made}`,
    };
  } finally {
    await connection.close();
  }
}

function isThereAlready({ key, finishedAt }: Manifest, target: ConnectionTarget): TenantResult {
  const detail = `${key} of ${finishedAt} is in ${placeOf(target)} already: an earlier run has restored it; it was left as it is`;
  return { status: 'unchanged', reason: 'up-to-date', detail };
}

interface BroughtRoles extends Pick<RolesPlan, 'before' | 'after'> {
  /** How many roles this restore makes. */
  readonly made: number;
  /** To be called when the dump is in: tells of the roles that came with it. */
  readonly tell: () => void;
}

async function bringRoles(
  connection: Pick<Connection, 'query'>,
  manifest: Manifest,
  { database }: ConnectionTarget,
  settings: RestoreSettings,
): Promise<BroughtRoles> {
  const nothing = () => undefined;
  if (settings.restoreRoles !== true) return { before: '', after: '', made: 0, tell: nothing };
  if (settings.makeRoles === undefined && manifest.format === 'plain') {
    const { before, after, created } = await plan();
    return { before, after, made: created.length, tell: () => tellOf(created) };
  }
  // A custom dump has no transaction that they could be part of.
  const makeRoles = settings.makeRoles ?? ((work) => work());
  let made = 0;
  await makeRoles(async () => {
    const { before, created } = await plan();
    if (before !== '') await connection.query(before);
    tellOf(created);
    made = created.length;
  });
  // Planned anew, so that what was just made counts as there.
  const { after } = await plan();
  return { before: '', after, made, tell: nothing };

  async function plan(): Promise<RolesPlan> {
    const roles = await planRoles(connection, manifest, database);
    for (const { password } of roles.created) if (password !== undefined) settings.onPassword?.(password);
    return roles;
  }

  function tellOf(created: RolesPlan['created']): void {
    for (const { name, password } of created) if (password !== undefined) settings.onRole?.(name, password);
  }
}
