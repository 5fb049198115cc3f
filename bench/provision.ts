import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { startLocalNeon, type LocalNeon } from '@neon-fleet/local-neon';
import { runAction, type FinishedAction } from '@neon-fleet/local-runner';
import { createApiClient } from '@neondatabase/api-client';
import { openCatalog } from '@neon-fleet/shared/catalog';
import pMap from 'p-map';
import pg from 'pg';

import { ROOT } from '../scripts/actions.js';
import { measured, median, runGroups, type Measurement } from './measurement.js';
import { runProcess } from './process.js';

const CONCURRENCY = 32;
const LATENCY_MS = 50;
const MIB = 1024 * 1024;

/** Measures the provision action and the catalog; `only` narrows it to the named groups. */
export function bench(only: readonly string[]): Promise<void> {
  return runGroups('provision', { catalog, converge }, only);
}

/** 1,000 tenants from nothing, against a bare loop of the calls that one tenant needs, which also connects once. */
async function converge(folder: string): Promise<Measurement[]> {
  const size = 1_000;
  await using neon = await startLocalNeon({ s3: false, latencyMs: LATENCY_MS });
  const file = path.join(folder, 'fleet.yml');
  const tenants = Array.from({ length: size }, (_, index) => `  - { key: t${index}, name: ours-${index} }`);
  await writeFile(file, `tenants:\n${tenants.join('\n')}\n`);

  const floorMs = await bareLoop(neon, size);
  const first = await provision(neon, file);
  expectAll(first, 'succeeded', size);
  const before = neon.requests().length;
  const second = await provision(neon, file);
  expectAll(second, 'unchanged', size);
  const calls = neon.requests().slice(before);
  return [
    measured(
      'converge-1000',
      `${size} tenants from nothing ÷ the bare calls and one connection each, ${CONCURRENCY} at a time`,
      first.durationMs / floorMs,
      '×',
      { at: 'most', bound: 1.3 },
    ),
    measured(
      'converge-again-writes',
      'writes of the second run',
      calls.filter(({ method }) => method !== 'GET').length,
      'calls',
      { at: 'most', bound: 0 },
    ),
    measured(
      'converge-again-calls',
      'calls of the second run for each 400 tenants',
      calls.length / Math.ceil(size / 400),
      'calls',
      { at: 'most', bound: 3 },
    ),
  ];
}

function provision(neon: LocalNeon, file: string): Promise<FinishedAction> {
  return runAction({
    bundle: path.join(ROOT, 'dist', 'provision', 'index.js'),
    inputs: {
      'neon-api-key': neon.apiKey,
      'neon-api-url': neon.apiUrl,
      'neon-api-rate': '100000',
      'fleet-file': file,
      concurrency: String(CONCURRENCY),
      ready: 'created',
    },
    env: { NODE_EXTRA_CA_CERTS: neon.caFile },
  });
}

function expectAll({ outputs, log }: FinishedAction, kind: 'succeeded' | 'unchanged', size: number): void {
  if (outputs[kind] !== String(size)) throw new Error(`expected ${size} ${kind}:\n${log.slice(-3_000)}`);
}

/** What nobody who creates a project safely can do without: look, create, wait, look again, fetch the URI, connect. */
async function bareLoop(neon: LocalNeon, size: number): Promise<number> {
  const api = createApiClient({ apiKey: neon.apiKey, baseURL: neon.apiUrl });
  const startedAtMs = performance.now();
  await pMap(
    Array.from({ length: size }, (_, index) => `floor-${index}`),
    async (name) => {
      await api.listProjects({ search: name, limit: 400 });
      const { data } = await api.createProject({ project: { name } });
      for (const { id } of data.operations) {
        for (;;) {
          const status: string = (await api.getProjectOperation(data.project.id, id)).data.operation.status;
          if (status === 'finished') break;
          await delay(100);
        }
      }
      await api.listProjects({ search: name, limit: 400 });
      const answer = await api.getConnectionUri({
        projectId: data.project.id,
        database_name: 'neondb',
        role_name: 'neondb_owner',
      });
      const client = new pg.Client({
        connectionString: answer.data.uri.replace(/\?.*/, ''),
        ssl: { rejectUnauthorized: false },
      });
      await client.connect();
      await client.end();
    },
    { concurrency: CONCURRENCY },
  );
  return performance.now() - startedAtMs;
}

/** 100,000 tenants read, and a shard of 400 written. */
async function catalog(): Promise<Measurement[]> {
  const size = 100_000;
  const shard = 400;
  await using neon = await startLocalNeon({ s3: false });
  const url = neon.postgresUrl;
  const open = await openCatalog(url);
  const admin = new pg.Client({ connectionString: url });
  await admin.connect();
  await admin.query(`
    INSERT INTO fleet.customer (slug, name) SELECT 'tenant-' || n, 'Tenant ' || n || ' Ltd' FROM generate_series(1, ${size}) n;
    INSERT INTO fleet.project (customer_id, neon_project_id, region, postgres_version, database_name, role_name, schema_version, status)
      SELECT id, 'quiet-river-' || substr(slug::text, 8), 'aws-us-east-1', 17, 'neondb', 'neondb_owner', '0012_tasks', 'ready'
      FROM fleet.customer;
    ANALYZE`);
  await admin.end();

  const reads = await pMap(
    Array.from({ length: 3 }),
    async () => {
      const cost = await runProcess(
        process.execPath,
        ['--import', 'tsx', path.join(ROOT, 'bench', 'discover-catalog.ts'), url],
        { cwd: ROOT },
      );
      const { tenants, durationMs } = JSON.parse(cost.output) as { tenants: number; durationMs: number };
      if (tenants !== size) throw new Error(`${tenants} tenants instead of ${size}`);
      return { durationMs, peakBytes: cost.peakBytes };
    },
    { concurrency: 1 },
  );

  const writesMs: number[] = [];
  for (let round = 1; round <= 5; round += 1) {
    const outcomes = Array.from({ length: shard }, (_, index) => ({
      projectId: `quiet-river-${round * 1_000 + index}`,
      name: `Tenant ${index}`,
      database: 'neondb',
      status: 'succeeded',
      from: '0012_tasks',
      to: '0013_labels',
      attempts: 1,
      startedAt: new Date().toISOString(),
      durationMs: 20,
    }));
    const startedAtMs = performance.now();
    await open.write({
      schemaVersion: 1,
      run: {
        runKey: `bench/${round}`,
        action: 'migrate',
        command: 'apply',
        verdict: 'succeeded',
        startedAt: new Date().toISOString(),
        durationMs: 1,
        outcomes,
      },
    });
    writesMs.push(performance.now() - startedAtMs);
  }
  await open.end();
  return [
    measured(
      'catalog-discovery',
      `${size} tenants out of the catalog`,
      median(reads.map(({ durationMs }) => durationMs)) / 1_000,
      's',
      { at: 'most', bound: 3 },
    ),
    measured(
      'catalog-discovery-memory',
      'its peak memory',
      median(reads.map(({ peakBytes }) => peakBytes)) / MIB,
      'MiB',
      { at: 'most', bound: 300 },
    ),
    measured('catalog-outcomes', `the outcomes of a shard of ${shard} tenants`, median(writesMs), 'ms', {
      at: 'most',
      bound: 200,
    }),
  ];
}
