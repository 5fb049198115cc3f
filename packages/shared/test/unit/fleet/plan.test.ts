import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import {
  parseMaxFailures,
  readPlan,
  requireAgreement,
  shardOf,
  writePlan,
  type Plan,
} from '../../../src/fleet/index.js';
import { outcome, skipped, tenant, tenants } from '../../support/builders.js';
import { planFor } from '../../support/fleet.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'neon-fleet-plan-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('a plan', () => {
  test('divides tenants and budget', () => {
    const plan = planFor(11, '1', { maxFailures: parseMaxFailures('5') });
    expect(plan.waves).toStrictEqual([
      { wave: 1, name: '1', tenants: 1, shards: [1] },
      { wave: 2, name: '100%', tenants: 10, shards: [2, 3, 4] },
    ]);
    expect(plan.shards.map(({ shard, wave, tenants: members }) => [shard, wave, members.length])).toStrictEqual([
      [1, 1, 1],
      [2, 2, 4],
      [3, 2, 3],
      [4, 2, 3],
    ]);
    expect(plan.shards.reduce((sum, { maxFailures }) => sum + maxFailures, 0)).toBe(5);
  });

  test('of nobody has no shard and keeps what is settled', () => {
    const plan = planFor(0, '1, 10%', { settled: [skipped('unlisted')] });
    expect(plan).toMatchObject({ waves: [], shards: [], settled: [{ reason: 'unlisted' }] });
  });

  test('has no database twice', () => {
    const both = [tenant(), tenant({ name: 'the same under another name' })];
    expect(() => planFor(0, '', { tenants: both })).toThrow('was selected twice; nothing was done');
    expect(planFor(0, '', { tenants: [tenant(), tenant({ database: 'other' })] }).waves).toMatchObject([
      { tenants: 2 },
    ]);
  });

  test('is the same for the same fleet, however it was listed', () => {
    expect(planFor(0, '1, 10%', { tenants: tenants(50).toReversed() })).toStrictEqual(planFor(50, '1, 10%'));
  });

  test('is read as it was written, and no draft is left', async () => {
    const file = path.join(folder, 'a', 'plan.json');
    const plan = planFor(9, '1, 50%', {
      runUrl: 'https://github.com/o/r/actions/runs/1',
      settled: [outcome(), skipped('gone')],
      tenants: [...tenants(8), tenant({ projectId: 'p-dev', branch: 'dev', labels: { region: 'eu' } })],
    });
    await writePlan(plan, file);
    expect(await readPlan(file)).toStrictEqual(plan);
    expect(await readdir(path.dirname(file))).toStrictEqual(['plan.json']);
  });

  test('of a hundred thousand tenants is made, written and read', async () => {
    const file = path.join(folder, 'large.json');
    const plan = planFor(100_000, '1, 1%, 10%', { tenantsPerShard: 500 });
    expect(plan.shards.length).toBeLessThanOrEqual(256);
    await writePlan(plan, file);
    expect((await readPlan(file)).shards.flatMap(({ tenants: members }) => members)).toHaveLength(100_000);
  });
});

describe('a file that is refused as a plan:', () => {
  const changed = (change: (plan: Plan) => unknown) => JSON.stringify(change(planFor(9, '1')));

  test.each<[string, string, string]>([
    ['another version', changed((plan) => ({ ...plan, schemaVersion: 2 })), 'is a plan of version 2; this version of'],
    ['no JSON', '{"schemaVersion":1', 'is not a plan: it is not JSON'],
    ['something else', '{"name":"x"}', 'is not a plan: schemaVersion'],
    ['a list', '[]', 'is not a plan'],
    [
      'a wave of a shard that is not there',
      changed((plan) => ({ ...plan, shards: plan.shards.slice(1) })),
      'wave 1 is not what its shards are',
    ],
    ['a shard of no wave', changed((plan) => ({ ...plan, waves: plan.waves.slice(1) })), 'shard 1 belongs to no wave'],
    [
      'a shard that lost a tenant',
      changed((plan) => ({
        ...plan,
        shards: plan.shards.map((shard) => ({ ...shard, tenants: shard.tenants.slice(0, 1) })),
      })),
      'wave 2 is not what its shards are',
    ],
    [
      'a tenant that is in it twice',
      changed((plan) => ({
        ...plan,
        shards: plan.shards.map((shard) => ({ ...shard, tenants: plan.shards[0]?.tenants ?? [] })),
      })),
      'p-0 is in it twice',
    ],
    [
      'a tenant that is settled and planned',
      changed((plan) => ({ ...plan, settled: [outcome(undefined, { projectId: 'p-0' })] })),
      'p-0 is in it twice',
    ],
    [
      'a shard that may fail more often than the whole fleet',
      changed((plan) => ({
        ...plan,
        shards: plan.shards.map((shard, index) => (index === 1 ? { ...shard, maxFailures: 100 } : shard)),
      })),
      'its shards may have 100 failures together, and the whole fleet 1',
    ],
    [
      'a fleet that may fail more often than its shards',
      changed((plan) => ({ ...plan, maxFailures: 9 })),
      'its shards may have 1 failures together, and the whole fleet 9',
    ],
    [
      'shards with a gap in their numbers',
      changed((plan) => ({
        ...plan,
        waves: plan.waves.map((wave) => ({ ...wave, shards: wave.shards.map((shard) => shard + 1) })),
        shards: plan.shards.map((shard) => ({ ...shard, shard: shard.shard + 1 })),
      })),
      'its shards are not numbered from 1 to',
    ],
    [
      'waves that do not begin with the first',
      changed((plan) => ({
        ...plan,
        waves: plan.waves.map((wave) => ({ ...wave, wave: wave.wave + 1 })),
        shards: plan.shards.map((shard) => ({ ...shard, wave: shard.wave + 1 })),
      })),
      'its waves are not numbered from 1 to 2',
    ],
  ])('%s', async (_, text, message) => {
    const file = path.join(folder, 'bad.json');
    await writeFile(file, text);
    await expect(readPlan(file)).rejects.toThrow(message);
  });

  test('none at all', async () => {
    await expect(readPlan(path.join(folder, 'nowhere.json'))).rejects.toThrow(/^there is no plan at /);
  });
});

describe('whoever carries a plan out', () => {
  test('must mean the same', () => {
    expect(() => requireAgreement(planFor(1), 'migrate', { migrations: 'digest-1' })).not.toThrow();
  });

  test('is told every difference', () => {
    const plan = planFor(1, '', { settings: { migrations: 'digest-1', to: '0005_x' } });
    expect(() => requireAgreement(plan, 'backup', { migrations: 'digest-2', table: 't' })).toThrow(
      [
        'the plan was made for something else; nothing was done.',
        '  it is a plan for migrate, and this is backup',
        '  migrations was "digest-1" and is "digest-2"',
        '  table was not set and is "t"',
        '  to was "0005_x" and is not set',
      ].join('\n'),
    );
  });

  test('must ask for a shard that is there', () => {
    expect(shardOf(planFor(9), 3).tenants).toHaveLength(3);
    expect(() => shardOf(planFor(9), 4)).toThrow('shard: the plan has the shards 1 to 3, and not 4');
    expect(() => shardOf(planFor(0), 1)).toThrow('no shard at all: there is nothing to do');
  });
});

test('a plan file holds what it must and nothing else', async () => {
  const file = path.join(folder, 'plain.json');
  await writePlan(planFor(1), file);
  expect(Object.keys(JSON.parse(await readFile(file, 'utf8')) as object)).toStrictEqual([
    'schemaVersion',
    'id',
    'action',
    'createdAt',
    'settings',
    'maxFailures',
    'waves',
    'shards',
    'settled',
  ]);
});
