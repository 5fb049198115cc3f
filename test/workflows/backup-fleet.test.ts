import { beforeAll, describe, expect, test } from '@jest/globals';

import { inputsOf, play, readFleetWorkflow, type Fate, type ReusableWorkflow } from '../support/fleet-workflow.js';

let workflow: ReusableWorkflow;

beforeAll(async () => {
  workflow = await readFleetWorkflow('backup-fleet');
});

function planned(shards: readonly number[]): Fate {
  return {
    steps: {
      name: { outputs: { artifact: 'neon-fleet-backup.fleet.1' } },
      plan: { outputs: { shards: String(shards.length), matrix: JSON.stringify({ shard: shards }) } },
    },
  };
}

function run(fates: Readonly<Record<string, Fate>>) {
  const given = { tenants: '*', 's3-bucket': 'backups', 'role-to-assume': 'arn:aws:iam::1:role/backup' };
  const report: Fate = { steps: { report: { outputs: { verdict: 'reported', message: 'the report' } } } };
  return play(workflow, inputsOf(workflow, given), { report, ...fates });
}

describe('the jobs that run', () => {
  test('are the plan, a job for each shard, and the report', () => {
    const done = run({ plan: planned([1, 2]) });
    expect(done.ran).toEqual(['plan', 'backup', 'report']);
    expect(done.matrices).toEqual({ backup: { shard: [1, 2] } });
    expect(done.outputs).toEqual({ verdict: 'reported', message: 'the report' });
  });

  test.each<[string, Record<string, Fate>, string[]]>([
    ['nothing to do', { plan: planned([]) }, ['plan', 'report']],
    ['a shard that failed', { plan: planned([1]), backup: { result: 'failure' } }, ['plan', 'backup', 'report']],
    ['a plan that could not be made', { plan: { result: 'failure' } }, ['plan']],
    [
      'a cancellation',
      { plan: planned([1]), backup: { result: 'cancelled', cancelsRun: true } },
      ['plan', 'backup', 'report'],
    ],
  ])('after %s', (_, fates, ran) => {
    expect(run(fates).ran).toEqual(ran);
  });
});

test('the plan is fetched by its name: what a pattern finds alone is unpacked somewhere else', () => {
  const { inputsOfSteps } = run({ plan: planned([1]) });
  for (const job of ['backup', 'report']) {
    expect(inputsOfSteps[job]).toContainEqual({ name: 'neon-fleet-backup.fleet.1.plan', path: '/temp/neon-fleet' });
    expect(inputsOfSteps[job]).toContainEqual(expect.objectContaining({ plan: '/temp/neon-fleet/plan.json' }));
  }
});

test('the catalog is told to every job, and what it could not be told is kept', () => {
  const { inputsOfSteps } = run({ plan: planned([1]) });
  for (const job of ['plan', 'backup', 'report']) {
    expect(inputsOfSteps[job]).toContainEqual(
      expect.objectContaining({
        'catalog-url': 'postgresql://writer:word@catalog/fleet',
        command: job === 'backup' ? 'apply' : job,
      }),
    );
  }
  expect(inputsOfSteps['backup']).toContainEqual(
    expect.objectContaining({ path: expect.stringContaining('/temp/neon-fleet/catalog-*.json') }),
  );
});
