import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { startLocalNeon, type LocalNeon, type LocalNeonOptions } from '@neon-fleet/local-neon';
import { openNeon, type Neon } from '@neon-fleet/shared/neon';
import { LOCK_KEY, trustedAuthorities } from '@neon-fleet/shared/postgres';
import pg from 'pg';

/** A local Neon with what working on a tenant needs, in this process. */
export class MigrateFleet implements AsyncDisposable {
  private constructor(
    readonly local: LocalNeon,
    readonly neon: Neon,
    readonly authorities: readonly string[] | undefined,
    /** A temporary folder that goes with the fleet. */
    readonly folder: string,
  ) {}

  static async start(options: LocalNeonOptions = {}): Promise<MigrateFleet> {
    const local = await startLocalNeon({ s3: false, ...options });
    return new MigrateFleet(
      local,
      openNeon({ apiKey: local.apiKey, apiUrl: local.apiUrl, userAgent: 'test' }),
      await trustedAuthorities({ PGSSLROOTCERT: local.caFile }),
      await mkdtemp(path.join(tmpdir(), 'neon-fleet-test-')),
    );
  }

  /** A tenant with what some SQL makes. @returns its project's id */
  async tenant(name: string, sql = ''): Promise<string> {
    const [projectId = ''] = await this.local.seedProjects([name]);
    // Through the tenant's own door, so that everything has the owner that it has at Neon.
    if (sql !== '') await this.query(projectId, sql);
    return projectId;
  }

  uriOf(projectId: string): Promise<string> {
    return this.neon.connectionUri({ projectId, database: 'neondb', role: 'neondb_owner' });
  }

  /** Asks a tenant's database as its owner. */
  async query(projectId: string, sql: string): Promise<Record<string, unknown>[]> {
    const client = await this.connect(projectId);
    try {
      // Of several statements the last one's rows.
      const results = [await client.query<Record<string, unknown>>(sql)].flat();
      return results.at(-1)?.rows ?? [];
    } finally {
      await client.end();
    }
  }

  /** A connection of a tenant's owner, for the test to keep. */
  async connect(projectId: string): Promise<pg.Client> {
    const uri = new URL(await this.uriOf(projectId));
    uri.search = '';
    const ssl = { ca: [...(this.authorities ?? [])], servername: uri.hostname };
    const client = new pg.Client({ connectionString: uri.href, ssl });
    await client.connect();
    return client;
  }

  /** Asks the server behind all tenants, as its superuser. */
  async admin(sql: string): Promise<Record<string, unknown>[]> {
    const client = new pg.Client({ connectionString: this.local.postgresUrl });
    await client.connect();
    try {
      return (await client.query<Record<string, unknown>>(sql)).rows;
    } finally {
      await client.end();
    }
  }

  /** drizzle's rows of a tenant; undefined without its table. */
  async record(projectId: string): Promise<Record<string, unknown>[] | undefined> {
    const [there] = await this.query(projectId, "SELECT to_regclass('drizzle.__drizzle_migrations') AS name");
    if (there?.['name'] === null) return undefined;
    return this.query(projectId, 'SELECT * FROM drizzle.__drizzle_migrations ORDER BY id');
  }

  /** Holds a tenant's lock, as another run does, until it is released. */
  async holdLock(projectId: string): Promise<{ release: () => Promise<void> }> {
    const client = await this.connect(projectId);
    await client.query('SELECT pg_advisory_lock($1, $2)', [...LOCK_KEY]);
    return { release: () => client.end() };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.local.stop();
    await rm(this.folder, { recursive: true, force: true });
  }
}
