import type { Tenant, TenantResult, WorkContext } from '@neon-fleet/shared/fleet';
import { findDatabase, type FoundDatabase, type Neon } from '@neon-fleet/shared/neon';
import {
  connect,
  parseConnectionUri,
  takeLock,
  versionWords,
  type ClientFinder,
  type ClientVersion,
  type Connection,
  type Environment,
  type LibpqTrust,
} from '@neon-fleet/shared/postgres';
import { placeOf, type ObjectStore } from '@neon-fleet/shared/s3';
import { TOOL_VERSION } from '@neon-fleet/shared/version';

import { commitBackup } from './commit.js';
import { dump } from './dump.js';
import { backupTimestamp, objectKey } from './keys.js';
import type { Manifest } from './manifest.js';
import { prune } from './prune.js';
import type { RetentionPolicy } from './retention.js';
import { storeDump } from './store-dump.js';
import { sizeWords } from './words.js';

/** What the backup of every tenant of a run shares. */
export interface BackupSurroundings {
  readonly neon: Pick<Neon, 'connectionUri' | 'listBranches' | 'listDatabases'>;
  readonly store: ObjectStore;
  readonly clients: ClientFinder;
  readonly trust: LibpqTrust;
  /** PEM texts for connections of our own; undefined: the public ones. */
  readonly authorities: readonly string[] | undefined;
  readonly env: Environment;
  /** Normalised: empty, or with a slash at its end. */
  readonly prefix: string;
  readonly compressionLevel: number;
  readonly lockWaitMs: number;
  readonly retention: RetentionPolicy | undefined;
  readonly origin: { readonly actor?: string; readonly runUrl?: string };
  readonly onBackup: (manifest: Manifest) => void;
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
  const target = parseConnectionUri(found.uri);
  const { authorities } = surroundings;
  const connection = await connect(target, { signal, authorities, applicationName: 'neon-fleet backup lock' });
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
    const rootCertificates = surroundings.trust.rootCertificatesFor(client.major);
    const { env, lockWaitMs } = surroundings;
    const manifest = await makeBackup(found, facts, client, (watch, until) =>
      dump({ client, target, rootCertificates, env, lockWaitMs }, watch, until),
    );
    return { status: 'succeeded', detail: await afterwards(manifest) };
  } finally {
    await connection.close();
  }

  async function makeBackup(
    { branchId, database, role }: FoundDatabase,
    facts: ServerFacts,
    client: ClientVersion,
    open: Parameters<typeof storeDump>[1]['open'],
  ): Promise<Manifest> {
    const { store, prefix, compressionLevel } = surroundings;
    const startedAt = new Date();
    const key = objectKey(prefix, { projectId: tenant.projectId, database, timestamp: backupTimestamp(startedAt) });
    const stored = await storeDump(store, {
      key,
      databaseBytes: facts.databaseBytes,
      compressionLevel,
      open,
      signal,
    });
    const manifest: Manifest = {
      schemaVersion: 1,
      projectId: tenant.projectId,
      name: tenant.name,
      ...(branchId === undefined ? {} : { branchId }),
      database,
      role,
      key,
      format: 'plain',
      compression: 'gzip',
      ...stored,
      startedAt: startedAt.toISOString(),
      finishedAt: new Date().toISOString(),
      postgres: { server: facts.version, pgDump: versionWords(client) },
      tool: { name: 'neon-fleet', version: TOOL_VERSION },
      ...surroundings.origin,
    };
    await commitBackup(store, manifest, signal);
    surroundings.onBackup(manifest);
    return manifest;
  }

  async function afterwards({ key, projectId, database, sizeBytes, dumpBytes }: Manifest): Promise<string> {
    const { store, prefix, retention } = surroundings;
    const made = `${placeOf(store.bucket, key)}, ${sizeWords(sizeBytes)} (${sizeWords(dumpBytes)} of SQL)`;
    if (retention === undefined) return made;
    const { deleted, problems } = await prune(store, { prefix, projectId, database }, retention, new Date(), signal);
    for (const gone of deleted) note(`Deleted by retention: ${gone}`);
    for (const problem of problems) note(`Retention: ${problem}`);
    const old = deleted.length === 0 ? '' : `; ${deleted.length} older deleted`;
    return `${made}${old}${problems.length === 0 ? '' : `; retention met a problem: ${problems[0] ?? ''}`}`;
  }
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
