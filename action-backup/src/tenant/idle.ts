import {
  coverageKey,
  databasePrefix,
  instantOf,
  type Manifest,
  manifestKey,
  parseKey,
  readCoverage,
  readManifest,
  writeCoverage,
} from '@neon-fleet/shared/backups';
import type { TenantResult } from '@neon-fleet/shared/fleet';
import type { Neon } from '@neon-fleet/shared/neon';
import type { Connection } from '@neon-fleet/shared/postgres';
import type { ObjectStore } from '@neon-fleet/shared/s3';

import { ageWords } from '../words/ages.js';
import { decideDue, type DueRules } from './due.js';

export interface IdleSurroundings {
  readonly neon: Pick<Neon, 'getProject'>;
  readonly store: ObjectStore;
  readonly prefix: string;
  readonly due?: DueRules;
}

/**
 * Looks whether a tenant can be left asleep: because its newest backup is young enough, or because nobody has used it
 * since. Undefined when it is to be backed up.
 */
export async function notNow(
  { neon, store, prefix, due }: IdleSurroundings,
  projectId: string,
  database: string,
  signal: AbortSignal,
): Promise<TenantResult | undefined> {
  if (due === undefined || (due.everyMs === undefined && !due.skipUnchanged)) return undefined;
  const now = new Date();
  const newest = await newestGood(store, prefix, projectId, database, signal);
  if (newest === undefined) return undefined;
  const facts = {
    newestAt: newest.at,
    quietUntil: newest.covered ? await quietUntil(store, newest.key, signal) : undefined,
    lastActiveAt: due.skipUnchanged ? dateOf((await neon.getProject(projectId)).computeLastActiveAt) : undefined,
  };
  const decision = decideDue(due, facts, now);
  if (decision === 'due') return undefined;
  const age = ageWords(now.getTime() - newest.at.getTime());
  if (decision === 'not-due') {
    return { status: 'unchanged', reason: 'not-due', detail: `its newest backup is ${age} old` };
  }
  // What `list` takes for a backup of now.
  await writeCoverage(store, { ...newest.note(facts.quietUntil), at: now.toISOString() }, signal);
  return {
    status: 'unchanged',
    reason: 'idle-since-last-backup',
    detail: `nobody has used it since its backup ${age} ago`,
  };
}

async function newestGood(
  store: ObjectStore,
  prefix: string,
  projectId: string,
  database: string,
  signal: AbortSignal,
) {
  const keys = new Set<string>();
  for await (const page of store.list(databasePrefix(prefix, projectId, database), { signal })) {
    for (const { key } of page) keys.add(key);
  }
  const newest = [...keys]
    .flatMap((key) => parseKey(prefix, key) ?? [])
    .filter(({ kind, objectKey }) => kind === 'object' && keys.has(manifestKey(objectKey)))
    .toSorted((a, b) => (a.timestamp < b.timestamp ? 1 : -1))
    .at(0);
  const at = newest === undefined ? undefined : instantOf(newest.timestamp);
  if (newest === undefined || at === undefined) return undefined;
  const key = newest.objectKey;
  const manifest = readManifest((await store.get(manifestKey(key), signal)).toString('utf8'), key);
  const head = await store.head(key, signal);
  // What is not whole covers nothing.
  if (head?.sizeBytes !== manifest.sizeBytes) return undefined;
  return {
    key,
    at,
    covered: keys.has(coverageKey(key)),
    note: (quiet: Date | undefined) => ({
      schemaVersion: 1 as const,
      key,
      ...(quiet === undefined ? {} : { quietUntil: quiet.toISOString() }),
    }),
  };
}

async function quietUntil(store: ObjectStore, key: string, signal: AbortSignal): Promise<Date | undefined> {
  return dateOf((await readCoverage(store, key, signal))?.quietUntil);
}

function dateOf(text: string | undefined): Date | undefined {
  const date = text === undefined ? undefined : new Date(text);
  return date === undefined || Number.isNaN(date.getTime()) ? undefined : date;
}

/**
 * Who else is connected (of other roles' sessions it may not be told what kind they are), and how many rows were ever
 * written: both the same means that nobody did anything.
 */
export interface OthersSeen {
  readonly sessions: number;
  readonly written: string;
}

export async function othersSeen(connection: Pick<Connection, 'query'>): Promise<OthersSeen> {
  const [row] = await connection.query(
    `SELECT (SELECT count(*)::int FROM pg_stat_activity WHERE datname = current_database() AND usesysid IS NOT NULL
        AND (backend_type IS NULL OR backend_type IN ('client backend', 'walsender'))
        AND application_name NOT LIKE 'neon-fleet%') AS sessions,
      (SELECT concat_ws('/', tup_inserted, tup_updated, tup_deleted) FROM pg_stat_database WHERE datname = current_database()) AS written`,
  );
  return { sessions: Number(row?.['sessions']), written: String(row?.['written']) };
}

/** Whether nobody else was seen in a database from one look until now. Ends the transaction that is open. */
export async function wasQuiet(connection: Pick<Connection, 'query'>, before: OthersSeen): Promise<boolean> {
  await connection.query('COMMIT');
  const after = await othersSeen(connection);
  return before.sessions === 0 && after.sessions === 0 && before.written === after.written;
}

/**
 * Notes that nobody else has used a database since its backup, and until when: now, when our own session has just ended.
 * Whoever comes later shows in Neon's own note of the last activity.
 */
export async function noteQuiet(
  store: Pick<ObjectStore, 'replace'>,
  { key }: Manifest,
  signal: AbortSignal,
): Promise<void> {
  const now = new Date().toISOString();
  await writeCoverage(store, { schemaVersion: 1, key, at: now, quietUntil: now }, signal);
}
