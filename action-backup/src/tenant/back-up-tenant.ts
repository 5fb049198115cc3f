import { backupTimestamp, objectKey, type Contents, type Manifest } from '@neon-fleet/shared/backups';
import { explain, ExplainedError } from '@neon-fleet/shared/errors';
import type { Tenant, TenantResult, WorkContext } from '@neon-fleet/shared/fleet';
import { findDatabase, type FoundDatabase, type Neon } from '@neon-fleet/shared/neon';
import {
  connect,
  parseConnectionUri,
  placeOf as databasePlace,
  takeLock,
  versionWords,
  type ClientFinder,
  type ClientPrograms,
  type Connection,
  type LibpqTrust,
} from '@neon-fleet/shared/postgres';
import type { Environment } from '@neon-fleet/shared/processes';
import { placeOf, type ObjectStore } from '@neon-fleet/shared/s3';
import { TOOL_VERSION } from '@neon-fleet/shared/version';

import { commitBackup } from '../storage/commit.js';
import { notNow, noteQuiet, othersSeen, wasQuiet } from './idle.js';
import { isAlone, type WokenComputes } from './suspend.js';
import type { DueRules } from './due.js';
import { dump } from '../dump/dump.js';
import { impossible, isPartial, suffixOf, type DumpShape } from '../dump/dump-options.js';
import type { OrphanRules } from '../storage/orphans.js';
import { prune } from '../retention/prune.js';
import type { RetentionPolicy } from '../retention/retention.js';
import { countRows, openSnapshot, type SnapshotFacts } from '../dump/snapshot.js';
import type { SequenceState } from '../dump/row-counter.js';
import { storeDump } from '../storage/store-dump.js';
import { TocReader } from '../dump/toc.js';
import { DumpWatch } from '../dump/trailer.js';
import { sizeWords } from '../words/sizes.js';

/** What the backup of every tenant of a run shares. */
export interface BackupSurroundings {
  readonly neon: Pick<Neon, 'connectionUri' | 'listBranches' | 'listDatabases' | 'getProject'>;
  readonly store: ObjectStore;
  readonly clients: ClientFinder;
  readonly trust: LibpqTrust;
  /** PEM texts for connections of our own; undefined: the public ones. */
  readonly authorities: readonly string[] | undefined;
  readonly env: Environment;
  /** Normalised: empty, or with a slash at its end. */
  readonly prefix: string;
  readonly shape: DumpShape;
  /** Whether the rows of every table are counted. */
  readonly countRows: boolean;
  /** The most parts of one upload that the store takes; undefined: S3's own limit. */
  readonly maxParts?: number | undefined;
  readonly lockWaitMs: number;
  readonly retention: RetentionPolicy | undefined;
  /** Undefined: nothing that was never finished is cleared. */
  readonly orphans?: OrphanRules | undefined;
  /** The last digits of this run's timestamps; random when undefined. */
  readonly digits?: number | undefined;
  /** Whether objects are tagged with tenant, database and version of the schema. */
  readonly tags?: boolean;
  /** Undefined: everybody is due. */
  readonly due?: DueRules;
  /** Undefined: computes are left to suspend themselves. */
  readonly woken?: WokenComputes | undefined;
  readonly origin: { readonly actor?: string; readonly runUrl?: string };
  readonly onBackup: (manifest: Manifest) => void;
  /** Told the keys of what is not there any more. */
  readonly onGone?: (keys: readonly string[]) => void;
}

interface ServerFacts {
  readonly major: number;
  readonly version: string;
  readonly databaseBytes: number;
}

/** Backs up one tenant: dump, manifest, and then what retention asks for. */
export async function backUpTenant(
  surroundings: BackupSurroundings,
  tenant: Tenant,
  { signal, note }: WorkContext,
): Promise<TenantResult> {
  const found = await findDatabase(surroundings.neon, tenant);
  const rest = await notNow(surroundings, tenant.projectId, found.database, signal);
  if (rest !== undefined) return rest;
  const target = parseConnectionUri(found.uri);
  const { authorities, woken } = surroundings;
  const compute = await woken?.lookAt(tenant.projectId, found.uri, note);
  const connection = await connect(target, { signal, authorities, applicationName: 'neon-fleet backup lock' });
  let quiet: Manifest | undefined;
  try {
    const held = await takeLock(connection, { mode: 'shared', waitMs: surroundings.lockWaitMs, signal });
    if (!held) {
      return { status: 'skipped', reason: 'locked', detail: 'a migration held the tenant all the time; run again' };
    }
    const facts = await readFacts(connection);
    const client = await surroundings.clients.forServer(facts.major);
    if (client.major !== facts.major) {
      note(`The server is PostgreSQL ${facts.version}; pg_dump ${versionWords(client)} is the nearest that is here.`);
    }
    const why = impossible(surroundings.shape, client.major);
    if (why !== undefined) throw new ExplainedError({ message: why, hint: 'Set compression: gzip, or format: plain.' });
    const before = await othersSeen(connection);
    const manifest = await makeBackup(found, facts, client, connection);
    const detail = await afterwards(manifest);
    if (surroundings.due?.skipUnchanged === true && (await wasQuiet(connection, before))) quiet = manifest;
    return { status: 'succeeded', detail };
  } finally {
    const mayBeSuspended = compute !== undefined && (await isAlone(connection).catch(() => false));
    await connection.close();
    // Our own session counts as activity until it has ended.
    if (quiet !== undefined) await noteQuiet(surroundings.store, quiet, signal).catch(notKnown(note));
    if (mayBeSuspended && !signal.aborted) await woken?.suspend(compute, note);
  }

  async function makeBackup(
    { branchId, database, role }: FoundDatabase,
    facts: ServerFacts,
    client: ClientPrograms,
    connection: Connection,
  ): Promise<Manifest> {
    const { store, prefix, shape, env, lockWaitMs } = surroundings;
    const digits = surroundings.digits === undefined ? undefined : always(surroundings.digits);
    const startedAt = new Date();
    const id = { projectId: tenant.projectId, database, timestamp: backupTimestamp(startedAt, digits) };
    const key = objectKey(prefix, id, suffixOf(shape));
    const rootCertificates = surroundings.trust.rootCertificatesFor(client.major);
    const snapshot = await openSnapshot(connection, role);
    const watch = new DumpWatch({ count: shape.format === 'plain' && surroundings.countRows });
    const toc = shape.format === 'custom' && surroundings.countRows ? new TocReader(client, env, signal) : undefined;
    try {
      const counting = toc?.tables.then((tables) => countRows(connection, tables));
      counting?.catch(() => undefined);
      const stored = await storeDump(store, {
        key,
        databaseBytes: facts.databaseBytes,
        maxParts: surroundings.maxParts,
        tags: surroundings.tags === true ? tagsOf(tenant.name, database, snapshot) : undefined,
        shape,
        watch,
        open: (seen, until) =>
          dump(
            { client, target, rootCertificates, env, lockWaitMs, shape, snapshot: snapshot.snapshot, toc },
            seen,
            until,
          ),
        signal,
      });
      toc?.end();
      const rows = watch.counter?.rows ?? (await counting);
      const sequences = watch.counter?.sequences ?? (await toc?.sequences);
      const manifest: Manifest = {
        schemaVersion: 2,
        projectId: tenant.projectId,
        name: tenant.name,
        ...(branchId === undefined ? {} : { branchId }),
        database,
        role,
        source: databasePlace(target),
        key,
        format: shape.format,
        compression: shape.compression,
        ...stored,
        startedAt: startedAt.toISOString(),
        finishedAt: new Date().toISOString(),
        postgres: { server: facts.version, pgDump: versionWords(client) },
        tool: { name: 'neon-fleet', version: TOOL_VERSION },
        ...surroundings.origin,
        contents: contentsOf(snapshot, isPartial(shape), rows, sequences),
      };
      await commitBackup(store, manifest, signal);
      surroundings.onBackup(manifest);
      return manifest;
    } finally {
      await toc?.stop();
    }
  }

  async function afterwards({ key, projectId, database, sizeBytes, dumpBytes }: Manifest): Promise<string> {
    const { store, prefix, retention, orphans } = surroundings;
    const made = `${placeOf(store.bucket, key)}, ${sizeWords(sizeBytes)} (${sizeWords(dumpBytes)} of SQL)`;
    const scope = { prefix, projectId, database };
    const { deleted, cleared, aborted, problems } = await prune(
      store,
      scope,
      { retention, orphans },
      new Date(),
      signal,
    );
    surroundings.onGone?.([...deleted, ...cleared]);
    for (const gone of deleted) note(`Deleted by retention: ${gone}`);
    for (const gone of [...cleared, ...aborted]) note(`Cleared, since it was never finished: ${gone}`);
    for (const problem of problems) note(`Retention: ${problem}`);
    const old = deleted.length === 0 ? '' : `; ${deleted.length} older deleted`;
    return `${made}${old}${problems.length === 0 ? '' : `; retention met a problem: ${problems[0] ?? ''}`}`;
  }
}

function contentsOf(
  { snapshotAt, extensions, migrations, schema, roles, memberships, grants, defaultGrants }: SnapshotFacts,
  partial: boolean,
  rows: ReadonlyMap<string, number> | undefined,
  sequences: ReadonlyMap<string, SequenceState> | undefined,
): Contents {
  return {
    snapshotAt,
    partial,
    schema,
    extensions: [...extensions],
    ...(migrations === undefined ? {} : { migrations }),
    roles: [...roles],
    memberships: [...memberships],
    grants: [...grants],
    defaultGrants: [...defaultGrants],
    ...(rows === undefined ? {} : { rowCounts: Object.fromEntries(rows) }),
    ...(sequences === undefined ? {} : { sequences: Object.fromEntries(sequences) }),
  };
}

async function readFacts(connection: Connection): Promise<ServerFacts> {
  // The session has nothing to do while it holds the lock, and must not be ended for that.
  await connection.query('SET idle_session_timeout = 0');
  const [row] = await connection.query(
    "SELECT current_setting('server_version_num') AS number, current_setting('server_version') AS version, pg_database_size(current_database())::text AS bytes",
  );
  return {
    major: Math.floor(Number(row?.['number']) / 10_000),
    version: String(row?.['version']),
    databaseBytes: Number(row?.['bytes']),
  };
}

/** Without that note the tenant is backed up the next time, and the backup that there is stays good. */
function notKnown(note: (line: string) => void): (thrown: unknown) => void {
  return (thrown) => note(`That nobody has used it could not be noted: ${explain(thrown).message}`);
}

function always(digits: number): () => number {
  return () => digits;
}

/** What of a backup is worth finding by tag; characters that a tag may not have become underscores. */
function tagsOf(tenant: string, database: string, { migrations }: SnapshotFacts): Record<string, string> {
  const clean = (text: string) => text.replace(/[^\p{L}\p{N} _.:/=+@-]/gu, '_').slice(0, 256);
  return {
    tenant: clean(tenant),
    database: clean(database),
    'schema-version': migrations === undefined ? 'none' : `${migrations.applied}`,
  };
}
