import { setTimeout as delay } from 'node:timers/promises';

import { startLocalNeon, type LocalNeon } from '@neon-fleet/local-neon';
import type { Manifest } from '@neon-fleet/shared/backups';
import { tenantOf, type Tenant } from '@neon-fleet/shared/fleet';
import { openNeon, type Neon } from '@neon-fleet/shared/neon';
import {
  LOCK_KEY,
  openClientFinder,
  prepareLibpqTrust,
  trustedAuthorities,
  type LibpqTrust,
} from '@neon-fleet/shared/postgres';
import { openStore, type Keeping, type ObjectStore } from '@neon-fleet/shared/s3';
import pg from 'pg';

import { backUpTenant, type BackupSurroundings } from '../../src/tenant/back-up-tenant.js';
import { WHOLE_PLAIN_DUMP } from '../../src/dump/dump-options.js';
import type { RestoreSurroundings } from '../../src/restore/surroundings.js';

/** A local Neon with what the backup of a tenant needs, in this process. */
export class BackupFleet implements AsyncDisposable {
  private constructor(
    readonly local: LocalNeon,
    readonly neon: Neon,
    readonly store: ObjectStore,
    readonly trust: LibpqTrust,
    readonly authorities: readonly string[] | undefined,
  ) {}

  static async start(): Promise<BackupFleet> {
    const local = await startLocalNeon();
    process.env['AWS_ACCESS_KEY_ID'] = local.s3.accessKeyId;
    process.env['AWS_SECRET_ACCESS_KEY'] = local.s3.secretAccessKey;
    process.env['PGSSLROOTCERT'] = local.caFile;
    return new BackupFleet(
      local,
      openNeon({ apiKey: local.apiKey, apiUrl: local.apiUrl, userAgent: 'test' }),
      openStoreAt(local, local.s3.endpoint),
      await prepareLibpqTrust(process.env),
      await trustedAuthorities(process.env),
    );
  }

  /** A tenant with what some SQL makes. */
  async tenant(name: string, sql = ''): Promise<Tenant> {
    const [projectId = ''] = await this.local.seedProjects([name]);
    // Through the tenant's own door, so that everything has the owner that it has at Neon.
    if (sql !== '') await this.query(projectId, sql);
    return tenantOf({ projectId, name, regionId: '', pgVersion: 15, createdAt: '' });
  }

  uriOf(projectId: string): Promise<string> {
    return this.neon.connectionUri({ projectId, database: 'neondb', role: 'neondb_owner' });
  }

  async query(projectId: string, sql: string): Promise<Record<string, unknown>[]> {
    const uri = new URL(await this.uriOf(projectId));
    uri.search = '';
    const ssl = { ca: [...(this.authorities ?? [])], servername: uri.hostname };
    const client = new pg.Client({ connectionString: uri.href, ssl });
    await client.connect();
    try {
      return (await client.query<Record<string, unknown>>(sql)).rows;
    } finally {
      await client.end();
    }
  }

  /** Holds a tenant's lock, as a migration does, for some seconds. @returns when it is held, with the end of it */
  async holdLock(projectId: string, seconds: number): Promise<{ released: Promise<unknown> }> {
    const [high, low] = LOCK_KEY;
    const released = this.query(projectId, `SELECT pg_advisory_lock(${high}, ${low}), pg_sleep(${seconds})`);
    const held = 'SELECT FROM pg_locks WHERE locktype = $$advisory$$ AND granted';
    while ((await this.query(projectId, held)).length === 0) await delay(10);
    return { released };
  }

  /** Backs up a tenant and gives its manifest. */
  async backUp(
    tenant: Tenant,
    overrides: Partial<BackupSurroundings> = {},
    signal: AbortSignal = new AbortController().signal,
  ): Promise<Manifest> {
    const made: Manifest[] = [];
    const surroundings = {
      ...this.surroundings(),
      onBackup: (manifest: Manifest) => void made.push(manifest),
      ...overrides,
    };
    const result = await backUpTenant(surroundings, tenant, { signal, note: () => undefined });
    const [manifest] = made;
    if (manifest === undefined) throw new Error(`no backup was made: ${JSON.stringify(result)}`);
    return manifest;
  }

  surroundings(): BackupSurroundings {
    return {
      neon: this.neon,
      store: this.store,
      clients: openClientFinder({ env: process.env }),
      trust: this.trust,
      authorities: this.authorities,
      env: process.env,
      prefix: 'fleet/',
      shape: WHOLE_PLAIN_DUMP,
      countRows: true,
      lockWaitMs: 1_000,
      retention: undefined,
      origin: {},
      onBackup: () => undefined,
    };
  }

  surroundingsOfRestore(): RestoreSurroundings {
    return {
      env: process.env,
      clients: openClientFinder({ env: process.env }),
      trust: this.trust,
      authorities: this.authorities,
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  }

  async keysOf({ projectId }: Tenant): Promise<string[]> {
    const keys: string[] = [];
    for await (const page of this.store.list(`fleet/${projectId}/`)) keys.push(...page.map(({ key }) => key));
    return keys;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.trust.dispose();
    await this.local.stop();
    for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'PGSSLROOTCERT']) {
      Reflect.deleteProperty(process.env, name);
    }
  }
}

/** The bucket of a local Neon, at its own address or at that of a proxy in front of it. */
export function openStoreAt({ s3 }: LocalNeon, endpoint: string, keeping: Keeping = {}): ObjectStore {
  const { bucket, region } = s3;
  return openStore({ bucket, region, endpoint, forcePathStyle: true, maxAttempts: 2, keeping });
}

/** The SQL of a table that compresses badly: with 20 000 rows its dump needs several parts. */
export function bulk(rows: number): string {
  return `CREATE TABLE bulk AS SELECT n, (SELECT string_agg(md5(n::text || i), '') FROM generate_series(1, 40) i) AS body FROM generate_series(1, ${rows}) n`;
}
