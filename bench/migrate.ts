import { readFileSync } from 'node:fs';
import { cp, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { startLocalNeon, type LocalNeon } from '@neon-fleet/local-neon';
import { startAction, type FinishedAction } from '@neon-fleet/local-runner';
import { createApiClient } from '@neondatabase/api-client';
import pMap from 'p-map';
import pg from 'pg';

import { ROOT } from '../scripts/actions.js';
import { measured, median, runGroups, type Measurement } from './measurement.js';
import { runProcess, watchMemory } from './process.js';

const CONCURRENCY = '16';
const MIB = 1024 * 1024;

/** What the guide writes for each tenant. */
const KIT_CONFIG = `import { defineConfig } from 'drizzle-kit';
export default defineConfig({
  dialect: 'postgresql',
  schema: './src/db/schema.ts',
  out: './drizzle',
  dbCredentials: { url: process.env.DATABASE_URL! },
});
`;

/** Measures the migrate action; `only` narrows it to the named groups. */
export function bench(only: readonly string[]): Promise<void> {
  return runGroups('migrate', { small, large, plan, faults }, only);
}

/** 100 tenants and the guide's schema: against one process a tenant, and against the barest loop. */
async function small(folder: string): Promise<Measurement[]> {
  const rounds = 3;
  const size = 100;
  await using neon = await startLocalNeon({ s3: false });
  const app = path.join(folder, 'app');
  await cp(path.join(ROOT, 'examples', 'app'), app, { recursive: true });
  const migrations = path.join(app, 'drizzle');
  await writeFile(path.join(app, 'bench.config.ts'), KIT_CONFIG);

  const oursMs: number[] = [];
  const floorMs: number[] = [];
  const kitMs: number[] = [];
  for (let round = 1; round <= rounds; round += 1) {
    // In turns, so that a slow moment of the machine meets both sides.
    oursMs.push(
      await withFleet(neon, `ours-${round}`, size, async () => {
        const { durationMs } = await migrate(neon, { tenants: `ours-${round}-*`, 'migrations-folder': migrations });
        return durationMs;
      }),
    );
    floorMs.push(
      await withFleet(neon, `floor-${round}`, size, async (ids) => {
        const file = path.join(folder, 'uris.json');
        await writeFile(file, JSON.stringify(await urisOf(neon, ids)), { mode: 0o600 });
        const { durationMs } = await runProcess(
          process.execPath,
          [path.join(ROOT, 'bench', 'floor-migrate.mjs'), file, migrations, CONCURRENCY],
          { env: { NODE_EXTRA_CA_CERTS: neon.caFile } },
        );
        return durationMs;
      }),
    );
    kitMs.push(
      await withFleet(neon, `kit-${round}`, size, async (ids) => {
        let totalMs = 0;
        for (const uri of await urisOf(neon, ids)) {
          const { durationMs } = await runProcess('npx', ['drizzle-kit', 'migrate', '--config=bench.config.ts'], {
            cwd: app,
            env: { DATABASE_URL: uri, NODE_EXTRA_CA_CERTS: neon.caFile },
          });
          totalMs += durationMs;
        }
        return totalMs;
      }),
    );
    say(`round ${round}`, { ours: oursMs.at(-1), floor: floorMs.at(-1), kit: kitMs.at(-1) });
  }
  return [
    measured(
      'migrate-100-vs-drizzle-kit',
      '100 tenants: npx drizzle-kit migrate one by one ÷ migrate',
      median(ratios(kitMs, oursMs)),
      '×',
      { at: 'least', bound: 40 },
    ),
    measured(
      'migrate-100-vs-floor',
      "100 tenants: migrate ÷ bare loop of drizzle-orm's migrator",
      median(ratios(oursMs, floorMs)),
      '×',
      { at: 'most', bound: 1.25 },
    ),
  ];
}

/** 1,000 tenants: what looking costs against what applying costs. */
async function large(folder: string): Promise<Measurement[]> {
  const size = 1_000;
  await using neon = await startLocalNeon({ s3: false });
  const growing = new GrowingFolder(path.join(folder, 'large'));
  return await withFleet(neon, 'large', size, async () => {
    const inputs = { tenants: 'large-*', 'migrations-folder': growing.folder };
    await growing.add();
    await migrate(neon, inputs);
    const applyMs: number[] = [];
    const lookMs: number[] = [];
    for (let round = 1; round <= 3; round += 1) {
      await growing.add();
      applyMs.push((await migrate(neon, inputs)).durationMs);
      lookMs.push((await migrate(neon, inputs)).durationMs);
      say(`round ${round}`, { apply: applyMs.at(-1), look: lookMs.at(-1) });
    }
    return [
      measured(
        'migrate-1000-up-to-date',
        "1,000 tenants: all up to date ÷ one migration (the guide's schema) applied",
        median(ratios(lookMs, applyMs)),
        '×',
        { at: 'most', bound: 0.6 },
      ),
    ];
  });
}

/** A plan over 10,000 projects, against reading the pages of their list. */
async function plan(folder: string): Promise<Measurement[]> {
  await using neon = await startLocalNeon({ s3: false, projects: 10_000, latencyMs: 50 });
  const growing = new GrowingFolder(path.join(folder, 'plan'));
  await growing.add();
  const planMs: number[] = [];
  const pagesMs: number[] = [];
  const peaks: number[] = [];
  for (let round = 1; round <= 5; round += 1) {
    const { durationMs, peakBytes } = await migrate(neon, {
      command: 'plan',
      tenants: '*',
      'migrations-folder': growing.folder,
    });
    planMs.push(durationMs);
    peaks.push(peakBytes);
    const pages = await runProcess(process.execPath, [path.join(ROOT, 'bench', 'floor-list.mjs'), neon.apiUrl], {
      env: { NEON_API_KEY: neon.apiKey },
    });
    if (pages.output.trim() !== '10000') throw new Error(`the pages named ${pages.output.trim()} projects`);
    pagesMs.push(pages.durationMs);
    say(`round ${round}`, { plan: planMs.at(-1), pages: pagesMs.at(-1) });
  }
  return [
    measured(
      'plan-10000',
      'plan over 10,000 projects ÷ reading the pages of the list',
      median(ratios(planMs, pagesMs)),
      '×',
      { at: 'most', bound: 1.3 },
    ),
    measured('plan-10000-memory', 'its peak memory', Math.max(...peaks) / MIB, 'MiB', { at: 'most', bound: 300 }),
  ];
}

/** 1,000 tenants with an API that is late, throttles, is busy and is down now and then. */
async function faults(folder: string): Promise<Measurement[]> {
  const size = 1_000;
  await using neon = await startLocalNeon({ s3: false, latencyMs: 50 });
  const growing = new GrowingFolder(path.join(folder, 'faults'));
  return await withFleet(neon, 'faulty', size, async (ids) => {
    const inputs = { tenants: 'faulty-*', 'migrations-folder': growing.folder };
    await growing.add();
    await migrate(neon, inputs);
    const cleanMs: number[] = [];
    const faultyMs: number[] = [];
    for (let round = 1; round <= 3; round += 1) {
      neon.faults.clear();
      await growing.add();
      cleanMs.push((await migrate(neon, inputs)).durationMs);
      neon.faults.set(
        { kind: '429', probability: 0.05 },
        { kind: '423', probability: 0.02 },
        { kind: '503', probability: 0.02 },
      );
      await growing.add();
      faultyMs.push((await migrate(neon, inputs)).durationMs);
      say(`round ${round}`, { clean: cleanMs.at(-1), faulty: faultyMs.at(-1) });
    }
    neon.faults.clear();
    const wrong = await notExactlyOnce(neon, ids, growing.count);
    return [
      measured(
        'migrate-1000-faults',
        '1,000 tenants, API at 5 % 429, 2 % 423, 2 % 503, 50 ms ÷ without faults',
        median(ratios(faultyMs, cleanMs)),
        '×',
        { at: 'most', bound: 1.5 },
      ),
      measured('migrate-1000-faults-once', 'tenants without each migration exactly once', wrong, '', {
        at: 'most',
        bound: 0,
      }),
    ];
  });
}

interface ActionCost {
  readonly durationMs: number;
  readonly peakBytes: number;
}

/** Runs the bundle as a runner does. @throws Error when it does not end green */
async function migrate(neon: LocalNeon, inputs: Readonly<Record<string, string>>): Promise<ActionCost> {
  const run = await startAction({
    bundle: path.join(ROOT, 'dist', 'migrate', 'index.js'),
    inputs: {
      'neon-api-key': neon.apiKey,
      'neon-api-url': neon.apiUrl,
      'neon-api-rate': '100000', // the stand-in has no limit; what is measured is the work
      concurrency: CONCURRENCY,
      ...inputs,
    },
    env: { NODE_EXTRA_CA_CERTS: neon.caFile },
  });
  const memory = watchMemory(run.process.pid ?? 0);
  const finished: FinishedAction = await run.finished;
  const peakBytes = memory.stop();
  if (finished.exitCode !== 0) throw new Error(`migrate ended red:\n${finished.log.slice(-3_000)}`);
  return { durationMs: finished.durationMs, peakBytes };
}

/** Makes a fleet with its databases, which both sides then find as they are, and removes it afterwards. */
async function withFleet<T>(
  neon: LocalNeon,
  prefix: string,
  size: number,
  use: (ids: readonly string[]) => Promise<T>,
): Promise<T> {
  const names = Array.from({ length: size }, (_, index) => `${prefix}-${index}`);
  const ids = await neon.seedProjects(names);
  await pMap(ids, (id) => visit(neon, id), { concurrency: 8 });
  const api = createApiClient({ apiKey: neon.apiKey, baseURL: neon.apiUrl });
  try {
    return await use(ids);
  } finally {
    await pMap(ids, (id) => api.deleteProject(id).catch(() => undefined), { concurrency: 8 });
  }
}

/** Connects once: the first session of a database makes caches that all later ones find, and no tenant is that new. */
async function visit(neon: LocalNeon, id: string): Promise<void> {
  const client = new pg.Client({ connectionString: await neon.adminUrlFor(id) });
  await client.connect();
  await client.end();
}

async function urisOf(neon: LocalNeon, ids: readonly string[]): Promise<string[]> {
  const api = createApiClient({ apiKey: neon.apiKey, baseURL: neon.apiUrl });
  return pMap(
    ids,
    async (projectId) => {
      const wanted = { projectId, database_name: 'neondb', role_name: 'neondb_owner' };
      return (await api.getConnectionUri(wanted)).data.uri;
    },
    { concurrency: 8 },
  );
}

/** Counts the tenants whose record or tables are not those of every migration applied exactly once. */
async function notExactlyOnce(neon: LocalNeon, ids: readonly string[], migrations: number): Promise<number> {
  const wrong = await pMap(
    ids,
    async (id) => {
      const client = new pg.Client({ connectionString: await neon.adminUrlFor(id) });
      await client.connect();
      try {
        const { rows } = await client.query<{ applied: string; distinct: string }>(
          'SELECT count(*) AS applied, count(DISTINCT hash) AS distinct FROM drizzle.__drizzle_migrations',
        );
        return Number(rows[0]?.applied) !== migrations || Number(rows[0]?.distinct) !== migrations;
      } finally {
        await client.end();
      }
    },
    { concurrency: 8 },
  );
  return wrong.filter(Boolean).length;
}

/** A migrations folder that gets one more migration whenever it is asked to. */
class GrowingFolder {
  count = 0;
  readonly #entries: unknown[] = [];
  readonly #guide = readFileSync(path.join(ROOT, 'examples', 'app', 'drizzle', '0000_init.sql'), 'utf8');

  constructor(readonly folder: string) {}

  async add(): Promise<void> {
    const idx = this.count;
    const tag = `${String(idx).padStart(4, '0')}_step`;
    this.#entries.push({ idx, version: '7', when: Date.UTC(2026, 0, 1) + idx * 60_000, tag, breakpoints: true });
    await mkdir(path.join(this.folder, 'meta'), { recursive: true });
    // The guide's schema once more, under names of its own.
    const statements = this.#guide.replace(/"(users|projects|tasks)(?=[_"])/g, `"$1_${idx}`);
    await writeFile(path.join(this.folder, `${tag}.sql`), statements);
    const journal = { version: '7', dialect: 'postgresql', entries: this.#entries };
    await writeFile(path.join(this.folder, 'meta', '_journal.json'), JSON.stringify(journal));
    this.count += 1;
  }
}

/** Pair by pair, so that the figure holds although the machine's speed drifts. */
function ratios(above: readonly number[], below: readonly number[]): number[] {
  return above.map((value, index) => value / (below[index] ?? Number.NaN));
}

function say(title: string, timesMs: Readonly<Record<string, number | undefined>>): void {
  const parts = Object.entries(timesMs).map(([name, ms]) => `${name} ${((ms ?? 0) / 1_000).toFixed(2)} s`);
  console.log(`${title}: ${parts.join(', ')}`);
}
