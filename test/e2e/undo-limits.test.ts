import path from 'node:path';

import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createApiClient } from '@neondatabase/api-client';

import { TestFleet, outcomeOf, reportOf, statuses } from '../support/fleet.js';
import { DROPS, Tenants } from '../support/going-back.js';
import { Workflow } from '../support/workflow.js';

let fleet: TestFleet;
let count = 0;
let prefix: string;

beforeAll(async () => {
  fleet = await TestFleet.start({ restorePoints: true });
});
afterAll(async () => {
  await fleet[Symbol.asyncDispose]();
});
beforeEach(() => {
  fleet.neon.faults.clear();
  count += 1;
  prefix = `u${count}`;
});

const MORE = { '0001_drop': DROPS };

describe('undo refuses', () => {
  test('to go back on another branch than the rollout was on', async () => {
    const made = await Tenants.seed(fleet, prefix, 'branched');
    const [projectId = ''] = made.ids;
    await made.write(MORE);
    const undo = await made.undoInputs(await fleet.run('migrate', made.inputs()));
    const api = createApiClient({ apiKey: fleet.neon.apiKey, baseURL: fleet.neon.apiUrl });
    await api.createProjectBranch(projectId, {
      branch: { name: 'staging' },
      endpoints: [{ type: 'read_write' as never }],
    });
    const undone = await fleet.run('migrate', { ...undo, branch: 'staging' });
    expect(undone.exitCode).toBe(1);
    expect(outcomeOf(undone, `${prefix} branched`)).toMatchObject({
      status: 'failed',
      detail: expect.stringContaining('these inputs lead to another branch or compute'),
    });
    expect(await made.columns()).toEqual(['id']);
    expect(await made.replaced()).toEqual([]);
  });

  test.each(['true', 'false'])('a point that is out of reach (dry-run: %s)', async (dryRun) => {
    const made = await Tenants.seed(fleet, prefix, 'late');
    await made.write(MORE);
    const rollout = await fleet.run('migrate', made.inputs());
    const undo = await made.undoInputs(rollout, (text) =>
      text.replace(
        /("takenAt": "[^"]*")(,\s*"usableUntil": "[^"]*")?/,
        '$1, "usableUntil": "2026-01-01T00:00:00.000Z"',
      ),
    );
    const undone = await fleet.run('migrate', { ...undo, 'dry-run': dryRun });
    expect(undone.exitCode).toBe(1);
    expect(outcomeOf(undone, `${prefix} late`)).toMatchObject({
      status: 'failed',
      detail: expect.stringMatching(/out of reach.* until 2026-01-01/),
      error: { hint: expect.stringContaining('Restore a backup') },
    });
    expect(await made.columns()).toEqual(['id']);
  });
});

describe('undo is budgeted like a rollout:', () => {
  const names = ['a', 'b', 'c', 'd'];
  const refuse = (projectId = '') =>
    fleet.neon.faults.set({ kind: 'status', status: 400, path: 'restoreProjectBranch', projectId });

  async function rolledOut(): Promise<{ made: Tenants; undo: Record<string, string> }> {
    const made = await Tenants.seed(fleet, prefix, ...names);
    await made.write(MORE);
    return { made, undo: await made.undoInputs(await fleet.run('migrate', made.inputs())) };
  }

  const back = async (made: Tenants) =>
    Promise.all(made.ids.map(async (id) => (await made.columns(id)).includes('text')));
  const of = (words: readonly string[]) => Object.fromEntries(names.map((name, i) => [`${prefix} ${name}`, words[i]]));

  test('nobody is put back after a first wave that failed', async () => {
    const { made, undo } = await rolledOut();
    refuse(made.ids[0]);
    const undone = await fleet.run('migrate', { ...undo, waves: '1, 100%', 'max-failures': '3' });
    expect(undone.exitCode).toBe(1);
    const skipped = 'skipped: canary-failed';
    expect(statuses(undone)).toEqual(of(['failed', skipped, skipped, skipped]));
    expect(await back(made)).toEqual([false, false, false, false]);
    expect(undone.log).toContain('in the first wave');
  });

  test('nobody is put back after more failures than are allowed', async () => {
    const { made, undo } = await rolledOut();
    refuse(made.ids[1]);
    const undone = await fleet.run('migrate', { ...undo, 'max-failures': '0', concurrency: '1' });
    expect(statuses(undone)).toEqual(of(['succeeded', 'failed', 'skipped: budget', 'skipped: budget']));
    expect(await back(made)).toEqual([true, false, false, false]);
    expect(undone.log).toContain('Nobody else is put back');
    // What is left is done by the next one, and what is done is not done again.
    fleet.neon.faults.clear();
    const rest = await fleet.run('migrate', undo);
    expect(statuses(rest)).toEqual(of(['unchanged: up-to-date', 'succeeded', 'succeeded', 'succeeded']));
    for (const id of made.ids) expect(await made.replaced(id)).toHaveLength(1);
  });

  test('the others are put back after as many as are allowed', async () => {
    const { made, undo } = await rolledOut();
    refuse(made.ids[1]);
    const undone = await fleet.run('migrate', { ...undo, waves: '1, 100%', 'max-failures': '1' });
    expect(undone).toMatchObject({ exitCode: 1, outputs: { verdict: 'failed', succeeded: '3', failed: '1' } });
    expect(await back(made)).toEqual([true, false, true, true]);
  });
});

describe('a file without a transaction that was done in part', () => {
  const HALF = ['-- neon-fleet: no-transaction\nCREATE TABLE IF NOT EXISTS half (id int)', 'VACUUM nowhere'];

  test('is offered to be undone although nothing is applied, and is undone once', async () => {
    const made = await Tenants.seed(fleet, prefix, 'half');
    const [id = ''] = made.ids;
    await made.write({ '0001_half': HALF });
    const rollout = await fleet.run('migrate', made.inputs());
    expect(outcomeOf(rollout, `${prefix} half`)).toMatchObject({ status: 'failed', migration: { applied: [] } });
    expect(rollout.summary).toContain('How to go back: 1 tenant<');
    expect(await fleet.tables(id)).toContain('public.half');

    const undo = await made.undoInputs(rollout);
    const dry = await fleet.run('migrate', { ...undo, 'dry-run': 'true' });
    expect(outcomeOf(dry, `${prefix} half`).detail).toContain('would go back to 0000_notes');
    const undone = await fleet.run('migrate', undo);
    expect(undone.outputs).toMatchObject({ verdict: 'succeeded', succeeded: '1' });
    expect(await fleet.tables(id)).not.toContain('public.half');

    await fleet.query(id, `INSERT INTO notes VALUES (2, 'written after it')`);
    for (const dryRun of ['true', 'false']) {
      const again = await fleet.run('migrate', { ...undo, 'dry-run': dryRun });
      expect(outcomeOf(again, `${prefix} half`)).toMatchObject({
        status: 'unchanged',
        detail: expect.stringContaining('it was put back at'),
      });
    }
    expect(await fleet.query(id, 'SELECT id FROM notes ORDER BY id')).toEqual([{ id: 1 }, { id: 2 }]);
    expect(await made.replaced()).toHaveLength(1);
  });
});

describe('a re-run of failed jobs after an undo', () => {
  test('does not call done what was taken back: it is looked at, done again, and can be undone again', async () => {
    const made = await Tenants.seed(fleet, prefix, 'a', 'b', 'c', 'd');
    const [a = '', b = '', c = '', d = ''] = made.ids;
    const of = (name: string) => `${prefix} ${name}`;
    await made.write({ '0001_drop': DROPS, '0002_more': ['CREATE TABLE more (id int)'] });
    // In the first of two jobs somebody fails; the other one is green, and is not run again.
    await fleet.query(b, 'CREATE TABLE more ()');
    const workflow = new Workflow(fleet, 'migrate', path.join(fleet.folder, `flow-${prefix}`), {
      'migrations-folder': made.migrationsFolder,
    });
    await workflow.plan({ tenants: made.tenants, 'tenants-per-shard': '2', 'max-failures': '2', waves: '100%' });
    const [first, second] = [await workflow.apply(1), await workflow.apply(2)];
    expect([statuses(first), statuses(second)]).toEqual([
      { [of('a')]: 'succeeded', [of('b')]: 'failed' },
      { [of('c')]: 'succeeded', [of('d')]: 'succeeded' },
    ]);
    const report = await workflow.report();
    expect(report.summary).not.toContain('an earlier attempt');
    const undo = await made.undoInputs(report);
    const undone = await fleet.run('migrate', { ...undo, tenants: `${of('a')}\n${of('c')}` });
    expect(undone.outputs).toMatchObject({ verdict: 'succeeded', succeeded: '2' });

    await fleet.query(b, 'DROP TABLE more');
    const again = await workflow.apply(1, {}, { attempt: 2 });
    expect(statuses(again)).toEqual({ [of('a')]: 'succeeded', [of('b')]: 'succeeded' });
    for (const id of [a, b, d]) expect(await fleet.tables(id)).toContain('public.more');
    expect(await fleet.tables(c)).not.toContain('public.more');
    // The reader of the report is told whom nobody has looked at since.
    const merged = await workflow.report();
    expect(merged.summary).toContain('2 tenants are as an earlier attempt of this run left them');
    expect(outcomeOf(merged, of('b')).migration?.applied).toEqual(['0001_drop', '0002_more']);

    await fleet.query(a, 'INSERT INTO notes VALUES (7)');
    const whole = await fleet.run('migrate', await made.undoInputs(merged));
    expect(reportOf(whole).counts).toMatchObject({ succeeded: 3, unchanged: 1, failed: 0 });
    for (const id of made.ids) {
      expect(await made.columns(id)).toEqual(['id', 'text']);
      expect(await fleet.query(id, 'SELECT * FROM notes')).toEqual([{ id: 1, text: 'kept' }]);
    }
  });

  test('says the same as before of who has it all still', async () => {
    const made = await Tenants.seed(fleet, prefix, 'a', 'b');
    await made.write(MORE);
    await fleet.query(made.ids[1] ?? '', 'ALTER TABLE notes DROP COLUMN text');
    const workflow = new Workflow(fleet, 'migrate', path.join(fleet.folder, `flow-${prefix}`), {
      'migrations-folder': made.migrationsFolder,
    });
    await workflow.plan({ tenants: made.tenants, 'max-failures': '0', waves: '100%' });
    const before = outcomeOf(await workflow.apply(1), `${prefix} a`);
    // Who still fails does not keep the others from being looked at, although there is no budget for it.
    const again = await workflow.apply(1, { concurrency: '1' }, { attempt: 2 });
    expect(statuses(again)).toEqual({ [`${prefix} a`]: 'succeeded', [`${prefix} b`]: 'failed' });
    expect(outcomeOf(again, `${prefix} a`)).toEqual(before);
  });
});
