import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

import { beforeAll, describe, expect, test } from '@jest/globals';

import { inputs as inputsOfAction, readMigrateInputs } from '../../action-migrate/src/inputs.js';
import {
  filled,
  inputsOf,
  play,
  readFleetWorkflow,
  type Fate,
  type Job,
  type ReusableWorkflow,
  type Step,
  type WorkflowRun,
} from '../support/fleet-workflow.js';
import { valueOf } from '../support/workflow-conditions.js';

let workflow: ReusableWorkflow;

beforeAll(async () => {
  workflow = await readFleetWorkflow('migrate-fleet');
});

/** The plan of a fleet with these numbers of shards in its waves, as the command `plan` puts it out. */
function planned(...shards: readonly number[]): Fate {
  let next = 1;
  const waves = shards.map((count, index) => {
    const numbers = Array.from({ length: count }, () => next++);
    return { wave: index + 1, name: String(index), tenants: count, shards: count, matrix: { shard: numbers } };
  });
  return {
    steps: {
      name: { outputs: { artifact: 'neon-fleet-migrate.fleet.1' } },
      plan: {
        outputs: { shards: String(next - 1), waves: JSON.stringify(waves), verdict: 'succeeded', message: 'planned' },
      },
    },
  };
}

function gate(go: boolean): Fate {
  return { steps: { gate: { outputs: { go: String(go) } } } };
}

const report: Fate = { steps: { report: { outputs: { verdict: 'reported', message: 'the report' } } } };
const OPEN = { 'gate-1': gate(true), 'gate-2': gate(true), 'gate-3': gate(true), report };

function run(fates: Readonly<Record<string, Fate>>, given: Readonly<Record<string, string | boolean>> = {}) {
  return play(workflow, inputsOf(workflow, { tenants: '*', ...given }), { ...OPEN, ...fates });
}

/** What the report is told about a cancellation. */
function runCancelled({ inputsOfSteps }: WorkflowRun): string | undefined {
  return inputsOfSteps['report']?.find((given) => given['command'] === 'report')?.['run-cancelled'];
}

describe('the jobs that run', () => {
  const whole = ['plan', 'wave-1', 'gate-1', 'wave-2', 'gate-2', 'wave-3', 'gate-3', 'wave-4', 'report'];

  test('are as many waves as were planned, with a gate between every two', () => {
    expect(run({ plan: planned(1, 1, 3, 30) }).ran).toEqual(whole);
    expect(run({ plan: planned(1, 1, 3) }).ran).toEqual([...whole.slice(0, 6), 'report']);
    expect(run({ plan: planned(1, 3) }).ran).toEqual([...whole.slice(0, 4), 'report']);
    expect(run({ plan: planned(1) }).ran).toEqual([...whole.slice(0, 2), 'report']);
  });

  test('have the matrices of their waves', () => {
    expect(run({ plan: planned(1, 2, 1, 3) }).matrices).toEqual({
      'wave-1': { shard: [1] },
      'wave-2': { shard: [2, 3] },
      'wave-3': { shard: [4] },
      'wave-4': { shard: [5, 6, 7] },
    });
  });

  test('are the report alone when there is nothing to do', () => {
    const done = run({ plan: planned() }, { environment: 'production' });
    expect(done.ran).toEqual(['plan', 'report']);
    expect(done.outputs).toEqual({ verdict: 'reported', message: 'the report' });
  });

  test('are none after a failed canary but the report', () => {
    const done = run({ plan: planned(1, 2, 3), 'wave-1': { result: 'failure' }, 'gate-1': gate(false) });
    expect(done.ran).toEqual(['plan', 'wave-1', 'gate-1', 'report']);
    expect(runCancelled(done)).toBe('false');
  });

  test('go on after failures that the gate lets pass', () => {
    const done = run({ plan: planned(1, 2, 3), 'wave-1': { result: 'failure' }, 'wave-2': { result: 'failure' } });
    expect(done.ran).toEqual(['plan', 'wave-1', 'gate-1', 'wave-2', 'gate-2', 'wave-3', 'report']);
  });

  test('are none after a gate that was lost but the report', () => {
    const done = run({ plan: planned(1, 2, 3), 'gate-1': { result: 'failure' } });
    expect(done.ran).toEqual(['plan', 'wave-1', 'gate-1', 'report']);
    expect(runCancelled(done)).toBe('false');
  });

  test('are none at all after a plan that could not be made', () => {
    const plan: Fate = {
      result: 'failure',
      steps: { name: { outputs: {} }, plan: { outcome: 'failure', outputs: { verdict: 'failed', message: 'why' } } },
    };
    const done = run({ plan });
    expect(done.ran).toEqual(['plan']);
    expect(done.outputs).toEqual({ verdict: 'failed', message: 'why' });
  });

  test('are none at all, and nobody is asked, in a dry run', () => {
    const done = run({ plan: planned(1, 2) }, { 'dry-run': true, environment: 'production' });
    expect(done.ran).toEqual(['plan']);
    expect(done.outputs).toEqual({ verdict: 'succeeded', message: 'planned' });
  });

  test('give no verdict when the report was lost', () => {
    const done = run({ plan: planned(1), report: { result: 'failure', steps: { report: { outputs: {} } } } });
    expect(done.outputs).toEqual({ verdict: '', message: '' });
  });
});

describe('an approval', () => {
  const approved = { environment: 'production' };

  test('comes before the first wave', () => {
    expect(run({ plan: planned(1, 2) }, approved).ran.slice(0, 3)).toEqual(['plan', 'approve', 'wave-1']);
  });

  test('that is refused leaves everybody alone, and is no failure of tenants', () => {
    const done = run({ plan: planned(1, 2), approve: { result: 'failure' } }, approved);
    expect(done.ran).toEqual(['plan', 'approve', 'report']);
    expect(runCancelled(done)).toBe('true');
  });
});

describe('a cancellation', () => {
  const cancelled: Fate = { result: 'cancelled', cancelsRun: true };

  test.each([
    ['approve', ['plan', 'approve', 'report']],
    ['wave-1', ['plan', 'approve', 'wave-1', 'report']],
    ['gate-1', ['plan', 'approve', 'wave-1', 'gate-1', 'report']],
    ['wave-2', ['plan', 'approve', 'wave-1', 'gate-1', 'wave-2', 'report']],
  ])('during %s starts nothing but the report, which is told', (job, ran) => {
    const done = run({ plan: planned(1, 2, 3), [job]: cancelled }, { environment: 'production' });
    expect(done.ran).toEqual(ran);
    expect(runCancelled(done)).toBe('true');
  });

  test('of the plan ends it', () => {
    expect(run({ plan: { ...planned(1), ...cancelled } }).ran).toEqual(['plan']);
  });
});

describe('the steps', () => {
  test('give each command what it can read, from defaults that are empty, too', () => {
    const { inputsOfSteps } = run({ plan: planned(1, 1, 1, 1) }, { 'migrations-folder': 'examples/app/drizzle' });
    // The plan is looked for on reading; any file will do for that.
    const plan = 'package.json';
    const commands = Object.values(inputsOfSteps)
      .flat()
      .filter((given) => given['command'] !== undefined);
    expect(commands).toHaveLength(1 + 4 + 3 + 1);
    for (const step of commands) {
      const given: Readonly<Record<string, string>> = { ...step, ...(step['plan'] === undefined ? {} : { plan }) };
      const values = readMigrateInputs(
        (name) => given[name] ?? inputsOfAction[name as keyof typeof inputsOfAction].default ?? '',
      );
      expect(values).toMatchObject({
        command: given['command'],
        lockWait: 60_000,
        migrationsTable: '__drizzle_migrations',
      });
    }
  });

  test('of each input of the workflow use it somewhere', async () => {
    const text = await readFile(path.join('.github', 'workflows', 'migrate-fleet.yml'), 'utf8');
    const unused = Object.keys(workflow.on.workflow_call.inputs).filter((name) => !text.includes(`inputs.${name}`));
    expect(unused).toEqual([]);
  });

  test('are the same in all waves, and in all gates, but for their numbers', () => {
    for (const kind of ['wave', 'gate']) {
      const jobs = Object.entries(workflow.jobs).filter(([id]) => id.startsWith(`${kind}-`));
      const shapes = jobs.map(([, { steps, strategy }]) =>
        JSON.stringify({ steps, strategy })
          .replaceAll(/\[\d\]/g, '[N]')
          .replaceAll(/"through-wave":\d/g, '"through-wave":N'),
      );
      expect(shapes.length).toBeGreaterThan(2);
      expect(new Set(shapes).size).toBe(1);
    }
    expect(['gate-1', 'gate-2', 'gate-3'].map((id) => command(id, 'report').with?.['through-wave'])).toEqual([1, 2, 3]);
  });

  test('are given the catalog where they read or tell it, and keep what it could not be told', () => {
    const { inputsOfSteps } = run({ plan: planned(1, 1, 1, 1) });
    const told = { 'catalog-url': 'postgresql://writer:word@catalog/fleet' };
    for (const [id, steps] of Object.entries(inputsOfSteps)) {
      const given = steps.filter((step) => step['command'] !== undefined);
      expect(given).toHaveLength(1);
      // A gate only decides.
      if (id.startsWith('gate-')) expect(given[0]).not.toHaveProperty('catalog-url');
      else expect(given[0]).toMatchObject(told);
      if (!id.startsWith('wave-')) continue;
      const kept = { path: expect.stringContaining('/temp/neon-fleet/catalog-*.json') };
      expect(steps).toContainEqual(expect.objectContaining(kept));
    }
  });

  test('take runners by one label or by a list of them', () => {
    const labels = (given: string) => valueOf(job('plan')['runs-on'], { inputs: { 'runs-on': given } });
    expect(labels('ubuntu-latest')).toBe('ubuntu-latest');
    expect(labels('["self-hosted", "linux"]')).toEqual(['self-hosted', 'linux']);
  });
});

describe('artifacts', () => {
  test('with the plan are fetched by their name: one that a pattern finds alone is unpacked somewhere else', () => {
    const { inputsOfSteps } = run({ plan: planned(1, 1, 1, 1) });
    const plan = { name: 'neon-fleet-migrate.fleet.1.plan', path: '/temp/neon-fleet' };
    expect(inputsOfSteps['plan']).toContainEqual(expect.objectContaining({ name: plan.name }));
    const jobs = Object.entries(inputsOfSteps).filter(([id]) => id !== 'plan');
    expect(jobs).toHaveLength(8);
    for (const [, steps] of jobs) {
      expect(steps).toContainEqual(plan);
      expect(steps).toContainEqual(expect.objectContaining({ plan: '/temp/neon-fleet/plan.json' }));
    }
  });

  test('of a shard are found by it and by nobody else’s shard, attempt or fleet', async () => {
    const fleets = ['prod', 'prod-eu', 'prod.1', 'Prod 1', '1'];
    const artifacts = await Promise.all(
      fleets.flatMap((fleet) => ['1', '2', '11'].map((attempt) => nameOf(fleet, attempt))),
    );
    // Two fleets that only differ by a character that is not allowed share a name, which the upload refuses.
    const distinct = [...new Set(artifacts)];
    const stored = distinct.flatMap((artifact) =>
      [1, 2, 11, 12].flatMap((shard) =>
        ['1', '2'].map((attempt) => ({ artifact, shard, ...names(artifact, shard, attempt) })),
      ),
    );
    expect(new Set(stored.map(({ upload }) => upload)).size).toBe(stored.length);
    for (const artifact of distinct) {
      for (const shard of [1, 2, 11]) {
        const { earlier, all } = names(artifact, shard, '3');
        const found = stored.filter(({ upload }) => upload.startsWith(earlier));
        expect(found.map((one) => [one.artifact, one.shard])).toEqual([
          [artifact, shard],
          [artifact, shard],
        ]);
        expect(stored.filter(({ upload }) => upload.startsWith(all))).toHaveLength(8);
      }
    }
  });
});

function job(id: string): Job {
  const found = workflow.jobs[id];
  if (found === undefined) throw new Error(`there is no job ${id}`);
  return found;
}

function command(id: string, name: string): Step {
  const found = job(id).steps.find((step) => step.with?.['command'] === name);
  if (found === undefined) throw new Error(`${id} has no ${name}`);
  return found;
}

/** What the first step of the plan makes of the name of a fleet: it is a script, and is run as one. */
async function nameOf(fleet: string, attempt: string): Promise<string> {
  const script = job('plan').steps.find(({ id }) => id === 'name')?.run ?? '';
  const folder = await mkdtemp(path.join(tmpdir(), 'neon-fleet-name-'));
  try {
    const output = path.join(folder, 'output');
    const env = { PATH: process.env['PATH'], FLEET: fleet, ATTEMPT: attempt, GITHUB_OUTPUT: output };
    await promisify(execFile)('bash', ['-e', '-c', script], { env });
    return (await readFile(output, 'utf8')).trim().replace(/^artifact=/, '');
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** The names that a shard's record is uploaded and looked for under; a pattern is a beginning and a star. */
function names(artifact: string, shard: number, attempt: string): { upload: string; earlier: string; all: string } {
  const contexts = {
    needs: { plan: { outputs: { artifact } } },
    matrix: { shard },
    github: { run_attempt: attempt },
    runner: { temp: '/temp' },
    inputs: { 'report-retention-days': 30 },
  };
  const [upload = ''] = valuesOf('wave-1', 'upload-artifact', 'name', contexts);
  const [earlier = ''] = valuesOf('wave-1', 'download-artifact', 'pattern', contexts);
  const [all = ''] = valuesOf('report', 'download-artifact', 'pattern', contexts);
  for (const pattern of [earlier, all]) expect(pattern).toMatch(/^[\w.-]+\*$/);
  return { upload, earlier: earlier.slice(0, -1), all: all.slice(0, -1) };
}

function valuesOf(id: string, action: string, input: string, contexts: Record<string, unknown>): string[] {
  return job(id).steps.flatMap(({ uses, with: given }) => {
    if (uses?.includes(action) !== true || given?.[input] === undefined) return [];
    return Object.values(filled({ [input]: given[input] }, contexts));
  });
}
