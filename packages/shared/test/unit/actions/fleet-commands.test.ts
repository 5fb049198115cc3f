import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { parseOutputs } from '@neon-fleet/local-runner';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';

import { applyShard, publishMerged, publishPlan, type MergedRun, type ShardRun } from '../../../src/actions/index.js';
import { rememberSecret } from '../../../src/actions/masking.js';
import {
  fleetReportSchema,
  readPlan,
  readRecords,
  StoppedError,
  type Plan,
  type TenantResult,
} from '../../../src/fleet/index.js';
import { failed, outcome, skipped } from '../../support/builders.js';
import { CapturedStdout } from '../../support/captured-stdout.js';
import { planFor, recordOf } from '../../support/fleet.js';

const DONE: TenantResult = { status: 'succeeded', detail: 'applied 0001' };
const COST = { computesToWake: 1_200, apiCalls: 2_400, apiMinutes: 5.7, jobs: 3 };
const SECRET = 'npg-like but of no known shape 123';

let folder: string;
let stdout: CapturedStdout;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'neon-fleet-commands-'));
  process.env['GITHUB_OUTPUT'] = path.join(folder, 'output');
  process.env['GITHUB_STEP_SUMMARY'] = path.join(folder, 'summary');
  rememberSecret(SECRET);
});
beforeEach(async () => {
  await writeFile(path.join(folder, 'output'), '');
  await writeFile(path.join(folder, 'summary'), '');
  stdout = new CapturedStdout();
});
afterEach(() => {
  stdout.giveBack();
});
afterAll(async () => {
  Reflect.deleteProperty(process.env, 'GITHUB_OUTPUT');
  Reflect.deleteProperty(process.env, 'GITHUB_STEP_SUMMARY');
  await rm(folder, { recursive: true, force: true });
});

const outputs = async () => parseOutputs(await readFile(path.join(folder, 'output'), 'utf8'));
const summary = () => readFile(path.join(folder, 'summary'), 'utf8');

/** The exit code that the step would have had; taken back, since it is that of the tests as well. */
function exitCode(): number {
  const code = Number(process.exitCode ?? 0);
  process.exitCode = 0;
  return code;
}

function env(attempt = 1) {
  return { RUNNER_TEMP: path.join(folder, `temp-${attempt}`), GITHUB_RUN_ATTEMPT: `${attempt}` };
}

function apply(plan: Plan, overrides: Partial<ShardRun> = {}, attempt = 1) {
  return applyShard(
    {
      plan,
      shard: 1,
      startedAt: new Date(),
      concurrency: 2,
      signal: new AbortController().signal,
      work: () => Promise.resolve(DONE),
      ...overrides,
    },
    env(attempt),
  );
}

describe('plan', () => {
  test('gives the jobs after it a file and matrices, and is green', async () => {
    const plan = planFor(9, '1', { settled: [skipped('unlisted', { name: '<b>' }), outcome()] });
    const file = await publishPlan(plan, { cost: COST, appendix: '\n<p>more</p>\n' }, env());
    expect(await readPlan(file)).toStrictEqual(plan);
    expect(await outputs()).toStrictEqual({
      plan: path.join(folder, 'temp-1', 'neon-fleet', 'plan.json'),
      matrix: '{"shard":[1,2,3]}',
      shards: '3',
      tenants: '9',
      waves: JSON.stringify([
        { wave: 1, name: '1', tenants: 1, shards: 1, matrix: { shard: [1] } },
        { wave: 2, name: '100%', tenants: 8, shards: 2, matrix: { shard: [2, 3] } },
      ]),
      verdict: 'succeeded',
      message: 'migrate planned: 9 tenants in 3 shards and 2 waves, 2 settled already',
    });
    expect(exitCode()).toBe(0);
    const text = await summary();
    expect(text).toContain('## 🗺️ migrate: plan, 9 tenants in 3 shards\n');
    expect(text).toContain(
      'wakes at most 1,200 computes · about 2,400 calls of the Neon API, 5 min 42 s at the rate allowed · 3 jobs · stops after more than 1 failure\n',
    );
    const rows = [...text.matchAll(/<tr>(.*)<\/tr>/g)].map(([, row = '']) => row.replace(/<[^>]*>/g, '|'));
    expect(rows.slice(1, 4)).toStrictEqual([
      '|settled already: ⏭️ 1 skipped, ✅ 1 succeeded||2|||',
      '|1: 1||1||1|',
      '|2: 100%||8||2 to 3|',
    ]);
    expect(text).toContain('<b>&lt;b&gt;</b>');
    expect(text).toContain('<p>more</p>');
  });

  test('of nothing to do has no matrix', async () => {
    await publishPlan(planFor(0), { cost: COST }, env());
    expect(await outputs()).toMatchObject({ matrix: '{"shard":[]}', shards: '0', tenants: '0', waves: '[]' });
  });

  test('keeps secrets that a server repeated out of the artifact and the summary', async () => {
    const plan = planFor(1, '', { settled: [failed(`no: ${SECRET}`)] });
    const file = await publishPlan(plan, { cost: COST }, env());
    expect(await readFile(file, 'utf8')).toContain('no: ***');
    expect((await readFile(file, 'utf8')) + (await summary()) + stdout.text).not.toContain(SECRET);
  });

  test('stays within a summary with 5,000 settled and an appendix without end', async () => {
    const settled = Array.from({ length: 5_000 }, (_, index) => outcome(DONE, { projectId: `p-${index}` }));
    await publishPlan(planFor(0, '', { settled }), { cost: COST, appendix: 'x'.repeat(2 ** 21) }, env());
    expect(Buffer.byteLength(await summary())).toBeLessThan(2 ** 20);
    expect(await summary()).toContain('too long for a job summary');
  });
});

describe('apply', () => {
  test('leaves record and report in the folder of the shard, and a line for each tenant', async () => {
    const plan = planFor(8);
    const report = await apply(plan, { shard: 2, appendix: ({ counts }) => `\n<p>${counts.total} here</p>\n` });
    const file = path.join(folder, 'temp-1', 'neon-fleet', 'shard-2', 'report-2.json');
    expect(await outputs()).toMatchObject({ verdict: 'succeeded', succeeded: '4', report: file });
    expect(fleetReportSchema.parse(JSON.parse(await readFile(file, 'utf8')))).toStrictEqual(report);
    expect(report).toMatchObject({ command: 'apply', plan: { id: plan.id, shard: 2, attempt: 1 } });
    expect((await readFile(file.replace('report-2.json', 'outcomes-2.jsonl'), 'utf8')).trim().split('\n')).toHaveLength(
      5,
    );
    expect(stdout.pieces.filter((line) => line.startsWith('::group::')).map((line) => line.slice(9, 13))).toStrictEqual(
      ['1/4 ', '2/4 ', '3/4 ', '4/4 '],
    );
    expect(await summary()).toMatch(/^## ✅ migrate: shard 2 succeeded, 4 tenants\n/);
    expect(await summary()).toContain('<p>4 here</p>');
    expect(exitCode()).toBe(0);
  });

  test('is red when something failed, and its re-run works on that alone', async () => {
    const plan = planFor(4, '', { maxFailures: { kind: 'count', count: 4 } });
    await apply(plan, {
      work: ({ name }) => (name === 'tenant-2' ? Promise.reject(new Error(`boom ${SECRET}`)) : Promise.resolve(DONE)),
    });
    expect(exitCode()).toBe(1);
    const place = path.join(env().RUNNER_TEMP, 'neon-fleet', 'shard-1');
    const kept =
      (await readFile(path.join(place, 'outcomes-1.jsonl'), 'utf8')) +
      (await readFile(path.join(place, 'report-1.json'), 'utf8'));
    expect(kept).toContain('boom ***');
    expect(kept).not.toContain(SECRET);

    const worked: string[] = [];
    const report = await apply(
      plan,
      {
        previousRecords: await readRecords(place, plan),
        work: ({ name }) => {
          worked.push(name);
          return Promise.resolve(DONE);
        },
      },
      2,
    );
    expect(worked).toStrictEqual(['tenant-2']);
    expect(report).toMatchObject({ verdict: 'succeeded', counts: { total: 4, succeeded: 4 }, plan: { attempt: 2 } });
    expect(stdout.text).toContain('3 of 4 tenants were done by an earlier attempt');
    expect(stdout.text).toContain('::group::4/4 ✅ tenant-2');
    expect(exitCode()).toBe(0);
  });

  test('goes by its share of the budget and says when it ends', async () => {
    const plan = planFor(8, '', { maxFailures: { kind: 'count', count: 2 } });
    const report = await apply(plan, { concurrency: 1, work: () => Promise.reject(new Error('boom')) });
    expect(report.counts).toMatchObject({ failed: 2, skipped: 2 });
    expect(stdout.text).toContain(
      '::warning::no other tenant is started: 2 failed, which is more than the 1 allowed here',
    );
    expect(exitCode()).toBe(1);
  });

  test('accounts for everybody when it is told to stop', async () => {
    const stop = new AbortController();
    const report = await apply(planFor(4), {
      concurrency: 1,
      signal: stop.signal,
      work: () => {
        stop.abort(new StoppedError('cancelled'));
        return Promise.resolve(DONE);
      },
    });
    expect(report).toMatchObject({ verdict: 'incomplete', counts: { succeeded: 1, skipped: 3 } });
    expect(exitCode()).toBe(1);
  });

  test('does nothing for a shard that is not there', async () => {
    await expect(apply(planFor(4), { shard: 2 })).rejects.toThrow('and not 2');
  });
});

describe('report', () => {
  const plan = planFor(9, '1', { maxFailures: { kind: 'count', count: 5 } });
  const record = (shard: number, result: TenantResult = DONE) =>
    recordOf(plan, shard, {
      outcomes: (plan.shards[shard - 1]?.tenants ?? []).map(({ name, projectId }) =>
        outcome(result, { name, projectId }),
      ),
    });
  const publish = (overrides: Partial<MergedRun>) =>
    publishMerged({ plan, records: [], signal: new AbortController().signal, ...overrides }, env());

  test('puts all together, and is green when all is', async () => {
    const report = await publish({ records: [1, 2, 3].map((shard) => record(shard)) });
    expect(report).toMatchObject({
      verdict: 'succeeded',
      command: 'report',
      plan: { id: plan.id },
      counts: { total: 9 },
    });
    expect(await outputs()).toMatchObject({ verdict: 'succeeded', succeeded: '9' });
    expect(await outputs()).not.toHaveProperty('go');
    expect(await summary()).toContain(
      'The full report, every tenant with its outcome, is in the artifacts of this workflow run.',
    );
    expect(exitCode()).toBe(0);
  });

  test('names a shard that did not report, and is red', async () => {
    await publish({ records: [record(1), record(3)] });
    expect((await outputs())['message']).toMatch(/^migrate failed: 4 of 9 tenants failed \(tenant-1/);
    expect(await summary()).toContain('shard 2 did not report');
    expect(exitCode()).toBe(1);
  });

  test('of a cancelled run is incomplete, unless that is allowed', async () => {
    const cancelled = { records: [record(1)], runCancelled: true } as const;
    expect(await publish(cancelled)).toMatchObject({ verdict: 'incomplete', counts: { skipped: 8 } });
    expect(exitCode()).toBe(1);
    expect(await publish({ ...cancelled, allowSkipped: ['cancelled'] })).toMatchObject({ verdict: 'succeeded' });
    expect(exitCode()).toBe(0);
  });

  test('of a plan with nothing to do is what was settled', async () => {
    expect(await publish({ plan: planFor(0, '', { settled: [outcome()] }) })).toMatchObject({
      verdict: 'succeeded',
      counts: { total: 1 },
    });
    expect(exitCode()).toBe(0);
  });

  const BOOM: TenantResult = { status: 'failed', detail: 'boom', error: { message: 'boom' } };
  test.each<[string, TenantResult, string, string, RegExp]>([
    ['open', DONE, 'true', 'succeeded', /^## ✅ .*\n\n.*\n\n🟢 wave 1: the next wave may start \(0 failed so far/],
    ['shut', BOOM, 'false', 'failed', /^## ❌ .*\n\n.*\n\n🛑 wave 1: no other wave is started \(in the first wave/],
  ])('as a gate is green, whether %s or not', async (_, result, go, verdict, text) => {
    const report = await publish({ records: [record(1, result)], throughWave: 1 });
    expect(report.counts.total).toBe(1);
    expect(await outputs()).toMatchObject({ go, verdict });
    expect(await summary()).toMatch(text);
    expect(exitCode()).toBe(0);
  });

  test('as a gate waits before it opens, and stops waiting when it is told to', async () => {
    const began = performance.now();
    await publish({ records: [record(1)], throughWave: 1, soakMs: 60 });
    expect(performance.now() - began).toBeGreaterThanOrEqual(55);
    expect(await outputs()).toMatchObject({ go: 'true' });

    await writeFile(path.join(folder, 'output'), '');
    const stop = new AbortController();
    setTimeout(() => stop.abort(new StoppedError('cancelled')), 5);
    const waiting = publish({ records: [record(1)], throughWave: 1, soakMs: 3_600_000, signal: stop.signal });
    await expect(waiting).rejects.toThrow('the run was cancelled');
    expect(await outputs()).not.toHaveProperty('go');
  });
});
