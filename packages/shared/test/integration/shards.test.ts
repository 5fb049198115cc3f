import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { startLocalNeon, type LocalNeon } from '@neon-fleet/local-neon';
import pg from 'pg';

import {
  countsAsFailure,
  mergeRecords,
  parseMaxFailures,
  readRecords,
  writePlan,
  type Outcome,
  type Plan,
} from '../../src/fleet/index.js';
import { planFor } from '../support/fleet.js';
import { newCatalogDatabase } from '../support/migrations.js';

const PROGRAM = fileURLToPath(new URL('../support/shard-program.ts', import.meta.url));

let folder: string;
const started = new Set<ChildProcess>();
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'neon-fleet-shards-'));
});
afterEach(async () => {
  for (const process of started) process.kill('SIGKILL');
  started.clear();
  await rm(folder, { recursive: true, force: true });
});

interface Job {
  readonly shard: number;
  readonly attempt?: number;
  readonly concurrency?: number;
  /** All that run at the same time, this one included: none of them begins before all are there. */
  readonly meeting?: readonly number[];
  readonly failing?: readonly string[];
  readonly hanging?: readonly string[];
  /** Whether each tenant waits until the test says that it may go on. */
  readonly waiting?: boolean;
  readonly catalogUrl?: string;
}

/** Starts a job of the matrix. Each attempt has a temp folder of its own, as on a fresh runner. */
function startJob(job: Job): { process: ChildProcess; exitCode: Promise<number | null> } {
  const {
    shard,
    attempt = 1,
    concurrency = 4,
    meeting = [],
    failing = [],
    hanging = [],
    waiting = false,
    catalogUrl,
  } = job;
  const child = spawn(process.execPath, ['--import', 'tsx', PROGRAM], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: {
      PATH: process.env['PATH'] ?? '',
      RUNNER_TEMP: path.join(folder, 'reports', `runner-${shard}-${attempt}`),
      GITHUB_RUN_ATTEMPT: `${attempt}`,
      MEETING_PLACE: folder,
      PLAN: path.join(folder, 'plan.json'),
      REPORTS: path.join(folder, 'reports'),
      SHARD: `${shard}`,
      CONCURRENCY: `${concurrency}`,
      MEETING: meeting.join(' '),
      FAILING: failing.join(' '),
      HANGING: hanging.join(' '),
      ...(waiting ? { WAIT_FOR: path.join(folder, 'go-on') } : {}),
      ...(catalogUrl === undefined ? {} : { CATALOG_URL: catalogUrl }),
    },
  });
  started.add(child);
  const exitCode = once(child, 'exit').then(([code]) => {
    started.delete(child);
    return code as number | null;
  });
  return { process: child, exitCode };
}

async function merged(plan: Plan): Promise<readonly Outcome[]> {
  const { outcomes } = mergeRecords(plan, await readRecords(path.join(folder, 'reports'), plan));
  const planned = plan.shards.flatMap(({ tenants }) => tenants.map(({ name }) => name));
  expect(outcomes.map(({ name }) => name).toSorted()).toStrictEqual(planned.toSorted());
  return outcomes;
}

async function touchedBy(shard: number): Promise<string[]> {
  return (await readFile(path.join(folder, `touched-${shard}`), 'utf8')).trim().split('\n');
}

function countWords(outcomes: readonly Outcome[]): Record<string, number> {
  const words = outcomes.map((outcome) => (outcome.status === 'skipped' ? outcome.reason : outcome.status));
  return Object.fromEntries(
    [...new Set(words)].toSorted().map((word) => [word, words.filter((w) => w === word).length]),
  );
}

/** Waits until the running record of a shard has so many outcomes. */
async function recorded(shard: number, outcomes: number): Promise<void> {
  const file = path.join(
    folder,
    'reports',
    `runner-${shard}-1`,
    'neon-fleet',
    `shard-${shard}`,
    `outcomes-${shard}.jsonl`,
  );
  for (;;) {
    const lines = await readFile(file, 'utf8').then(
      (text) => text.split('\n').length - 2,
      () => 0,
    );
    if (lines >= outcomes) return;
    await delay(10);
  }
}

describe('shards that run at the same time', () => {
  const CONCURRENCY = 4;
  const together = [1, 2, 3, 4];

  test('stay within the budget of the fleet together, give or take those in flight', async () => {
    const plan = planFor(160, '', { tenantsPerShard: 40, maxFailures: parseMaxFailures('10') });
    await writePlan(plan, path.join(folder, 'plan.json'));
    const jobs = together.map((shard) =>
      startJob({ shard, meeting: together, concurrency: CONCURRENCY, failing: ['*'] }),
    );
    expect(await Promise.all(jobs.map(({ exitCode }) => exitCode))).toStrictEqual([1, 1, 1, 1]);

    const outcomes = await merged(plan);
    const failures = outcomes.filter(countsAsFailure).length;
    expect(failures).toBeGreaterThan(10);
    expect(failures).toBeLessThanOrEqual(10 + together.length * CONCURRENCY);
    expect(countWords(outcomes)).toStrictEqual({ budget: 160 - failures, failed: failures });
    const touched = await Promise.all(together.map(touchedBy));
    expect(touched.flat()).toHaveLength(failures);
  });

  test('do not hold one another up: few failures within the budget leave the others done', async () => {
    const plan = planFor(40, '', { tenantsPerShard: 10, maxFailures: parseMaxFailures('4') });
    await writePlan(plan, path.join(folder, 'plan.json'));
    const poisoned = [1, 2, 3].flatMap((shard) => plan.shards[shard]?.tenants[5]?.name ?? []);
    const jobs = together.map((shard) => startJob({ shard, meeting: together, failing: poisoned }));
    expect(await Promise.all(jobs.map(({ exitCode }) => exitCode))).toStrictEqual([0, 1, 1, 1]);
    const outcomes = await merged(plan);
    expect(countWords(outcomes)).toStrictEqual({ failed: 3, succeeded: 37 });
    expect(outcomes.filter(countsAsFailure).map(({ name }) => name)).toStrictEqual(poisoned);
  });

  test('one of which is killed leave everybody accounted for, and its re-run does what is left', async () => {
    const plan = planFor(30, '', { tenantsPerShard: 15, maxFailures: parseMaxFailures('0') });
    await writePlan(plan, path.join(folder, 'plan.json'));
    const mine = plan.shards[1]?.tenants.map(({ name }) => name) ?? [];
    const hanging = mine.slice(6, 8);
    const other = startJob({ shard: 1, meeting: [1, 2] });
    const victim = startJob({ shard: 2, meeting: [1, 2], concurrency: 2, hanging });
    await recorded(2, 6);
    victim.process.kill('SIGKILL');
    expect(await victim.exitCode).toBeNull();
    expect(await other.exitCode).toBe(0);

    const afterKill = await merged(plan);
    expect(countWords(afterKill)).toStrictEqual({ failed: 9, succeeded: 21 });
    const lost = afterKill.filter(countsAsFailure);
    expect(lost.map(({ detail }) => detail)).toStrictEqual(Array.from({ length: 9 }, () => 'shard 2 did not report'));
    expect(lost.map(({ name }) => name)).toStrictEqual(mine.slice(6));

    const touchedBefore = await touchedBy(2);
    expect(await startJob({ shard: 2, attempt: 2 }).exitCode).toBe(0);
    expect((await touchedBy(2)).slice(touchedBefore.length).toSorted()).toStrictEqual(mine.slice(6).toSorted());
    expect(countWords(await merged(plan))).toStrictEqual({ succeeded: 30 });

    // Nothing is left, so that a third attempt touches nobody.
    const touchedAfter = await touchedBy(2);
    expect(await startJob({ shard: 2, attempt: 3 }).exitCode).toBe(0);
    expect(await touchedBy(2)).toStrictEqual(touchedAfter);
    expect(countWords(await merged(plan))).toStrictEqual({ succeeded: 30 });
  });

  test('that is killed while nobody waits for anything loses at most those in flight', async () => {
    const plan = planFor(400, '', { tenantsPerShard: 400 });
    await writePlan(plan, path.join(folder, 'plan.json'));
    const victim = startJob({ shard: 1, concurrency: CONCURRENCY });
    await recorded(1, 50);
    victim.process.kill('SIGKILL');
    await victim.exitCode;
    const outcomes = await merged(plan);
    const touched = await touchedBy(1);
    const done = outcomes.filter(({ status }) => status === 'succeeded').map(({ name }) => name);
    expect(done.length).toBeGreaterThanOrEqual(50);
    expect(touched).toEqual(expect.arrayContaining(done));
    expect(touched.length - done.length).toBeLessThanOrEqual(CONCURRENCY);
    expect(await startJob({ shard: 1, attempt: 2 }).exitCode).toBe(0);
    expect((await touchedBy(1)).length - touched.length).toBe(400 - done.length);
    expect(countWords(await merged(plan))).toStrictEqual({ succeeded: 400 });
  });
});

describe('shards that share a catalog', () => {
  const together = [1, 2, 3, 4];
  let neon: LocalNeon;
  let admin: pg.Client;
  let catalogUrl: string;
  beforeAll(async () => {
    neon = await startLocalNeon({ s3: false });
    admin = new pg.Client({ connectionString: neon.postgresUrl });
    await admin.connect();
  });
  afterAll(async () => {
    await admin.end();
    await neon.stop();
  });
  beforeEach(async () => {
    catalogUrl = await newCatalogDatabase(neon);
  });

  async function ask<Row extends pg.QueryResultRow>(sql: string): Promise<Row[]> {
    const client = new pg.Client({ connectionString: catalogUrl });
    await client.connect();
    try {
      return (await client.query<Row>(sql)).rows;
    } finally {
      await client.end();
    }
  }

  test('have one budget: what one of them needs the others have less', async () => {
    const plan = planFor(40, '', { tenantsPerShard: 10, maxFailures: parseMaxFailures('4') });
    expect(plan.shards.map(({ maxFailures }) => maxFailures)).toStrictEqual([1, 1, 1, 1]);
    await writePlan(plan, path.join(folder, 'plan.json'));
    // All four in one shard, which has a share of one: without a catalog it would end after the second.
    const poisoned = plan.shards[1]?.tenants.slice(2, 6).map(({ name }) => name) ?? [];
    const jobs = together.map((shard) => startJob({ shard, meeting: together, failing: poisoned, catalogUrl }));
    expect(await Promise.all(jobs.map(({ exitCode }) => exitCode))).toStrictEqual([0, 1, 0, 0]);
    expect(countWords(await merged(plan))).toStrictEqual({ failed: 4, succeeded: 36 });
    expect(await ask('SELECT shard, failures FROM fleet.shard_failures ORDER BY shard')).toStrictEqual(
      together.map((shard) => ({ shard, failures: shard === 2 ? 4 : 0 })),
    );
    // One run, as bad as the worst of its shards, whichever came last.
    expect(await ask('SELECT verdict FROM fleet.migration_run')).toStrictEqual([{ verdict: 'failed' }]);
    expect(await ask('SELECT part, verdict FROM fleet.run_part ORDER BY part')).toStrictEqual(
      together.map((part) => ({ part, verdict: part === 2 ? 'failed' : 'succeeded' })),
    );
  });

  test('stop together once it is exceeded, give or take those in flight', async () => {
    const concurrency = 2;
    const plan = planFor(160, '', { tenantsPerShard: 40, maxFailures: parseMaxFailures('6') });
    await writePlan(plan, path.join(folder, 'plan.json'));
    const jobs = together.map((shard) =>
      startJob({ shard, meeting: together, concurrency, failing: ['*'], catalogUrl }),
    );
    expect(await Promise.all(jobs.map(({ exitCode }) => exitCode))).toStrictEqual([1, 1, 1, 1]);
    const outcomes = await merged(plan);
    const failures = outcomes.filter(countsAsFailure).length;
    expect(failures).toBeGreaterThan(6);
    expect(failures).toBeLessThanOrEqual(6 + together.length * concurrency);
    expect(countWords(outcomes)).toStrictEqual({ budget: 160 - failures, failed: failures });

    // The next attempt does not begin with the failures of the last one.
    const again = together.map((shard) => startJob({ shard, attempt: 2, meeting: together, catalogUrl }));
    expect(await Promise.all(again.map(({ exitCode }) => exitCode))).toStrictEqual([0, 0, 0, 0]);
    expect(countWords(await merged(plan))).toStrictEqual({ succeeded: 160 });
    expect(await ask('SELECT verdict FROM fleet.migration_run')).toStrictEqual([{ verdict: 'succeeded' }]);
  });

  test('go on by their own shares when it breaks in the middle', async () => {
    const plan = planFor(40, '', { tenantsPerShard: 20, maxFailures: parseMaxFailures('4') });
    await writePlan(plan, path.join(folder, 'plan.json'));
    const name = new URL(catalogUrl).pathname.slice(1);
    // Nobody fails before the catalog is gone.
    const jobs = [1, 2].map((shard) =>
      startJob({ shard, meeting: [1, 2], concurrency: 1, failing: ['*'], waiting: true, catalogUrl }),
    );
    while (
      (await ask<{ n: number }>('SELECT count(*)::int AS n FROM fleet.shard_failures').catch(() => []))[0]?.n !== 2
    )
      await delay(5);
    await admin.query(`DROP DATABASE ${name} WITH (FORCE)`);
    await writeFile(path.join(folder, 'go-on'), '');
    expect(await Promise.all(jobs.map(({ exitCode }) => exitCode))).toStrictEqual([1, 1]);
    // Each has a share of two, and is ended by the third.
    expect(countWords(await merged(plan))).toStrictEqual({ budget: 34, failed: 6 });
  });
});
