import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { ActionRun, FinishedAction } from '@neon-fleet/local-runner';
import pg from 'pg';

import { watchApi, type PassingRequest, type Watchers } from '../support/api-way.js';
import { TestFleet, outcomeOf, reportOf, statuses } from '../support/fleet.js';
import { DROPS, FAILS, Tenants } from '../support/going-back.js';

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
  prefix = `g${count}`;
});

const isRestore = ({ method, path }: PassingRequest) => method === 'POST' && path.endsWith('/restore');

/** Runs a bundle and kills it at its restore: before Neon hears of it, or when that is done and the bundle is not told. */
async function killAtRestore(inputs: Record<string, string>, moment: keyof Watchers): Promise<FinishedAction> {
  let started: (run: ActionRun) => void = () => undefined;
  const starting = new Promise<ActionRun>((resolve) => (started = resolve));
  const kill = async (request: PassingRequest) => {
    if (!isRestore(request)) return true;
    const run = await starting;
    run.process.kill('SIGKILL');
    await run.finished;
    return false;
  };
  await using way = await watchApi(fleet.neon.apiUrl, { [moment]: kill });
  const run = await fleet.start('migrate', { ...inputs, 'neon-api-url': way.url });
  started(run);
  const finished = await run.finished;
  expect(finished.signal).toBe('SIGKILL');
  return finished;
}

/** What the branch holds that keeps what a restore has replaced. */
async function keptNotes(made: Tenants): Promise<unknown[]> {
  const [id = ''] = made.ids;
  const kept = (await made.branches()).filter(({ name }) => name.startsWith('replaced-'));
  expect(kept).toHaveLength(1);
  const client = new pg.Client(await fleet.neon.adminUrlFor(id, { branchId: kept[0]?.id ?? '' }));
  await client.connect();
  try {
    return (await client.query<{ id: number }>('SELECT * FROM notes ORDER BY id')).rows;
  } finally {
    await client.end();
  }
}

describe('a run that is killed while it puts a tenant back', () => {
  test('before Neon hears of it: the next run goes on from where the tenant is', async () => {
    const made = await Tenants.seed(fleet, prefix, 'killed');
    await made.write({ '0001_drop': DROPS, '0002_fails': FAILS });
    await killAtRestore(made.inputs({ 'on-failure': 'restore' }), 'onRequest');
    expect(await made.columns()).toEqual(['id']);
    expect(await made.replaced()).toEqual([]);

    // What the run before it did is not its own to take back, and it does not say that it was.
    const failed = await fleet.run('migrate', made.inputs({ 'on-failure': 'restore' }));
    expect(outcomeOf(failed, `${prefix} killed`)).toMatchObject({
      status: 'failed',
      detail: expect.stringMatching(/; the database is as it was$/),
      migration: { from: '0001_drop', to: '0001_drop', applied: [] },
    });
    await made.write({ '0001_drop': DROPS, '0002_fails': ['SELECT 1'] });
    const mended = await fleet.run('migrate', made.inputs());
    expect(outcomeOf(mended, `${prefix} killed`)).toMatchObject({
      status: 'succeeded',
      migration: { applied: ['0002_fails'] },
    });
  });

  test('after Neon has done it: the next run begins anew, and what was replaced is kept', async () => {
    const made = await Tenants.seed(fleet, prefix, 'killed');
    await made.write({ '0001_drop': DROPS, '0002_fails': FAILS });
    await killAtRestore(made.inputs({ 'on-failure': 'restore' }), 'onAnswer');
    expect(await made.columns()).toEqual(['id', 'text']);
    expect(await keptNotes(made)).toEqual([{ id: 1 }]);

    const again = await fleet.run('migrate', made.inputs({ 'on-failure': 'restore' }));
    expect(statuses(again)).toEqual({ [`${prefix} killed`]: 'rolled-back' });
    expect(await made.columns()).toEqual(['id', 'text']);
    await made.write({ '0001_drop': DROPS });
    expect((await fleet.run('migrate', made.inputs())).outputs).toMatchObject({ verdict: 'succeeded', succeeded: '1' });
    expect(await fleet.query(made.ids[0] ?? '', 'SELECT * FROM notes')).toEqual([{ id: 1 }]);
  });
});

describe('an undo that is killed between its look and the end of its restore', () => {
  test.each([
    ['before Neon hears of it', 'onRequest', { succeeded: '1', unchanged: '0' }],
    ['after Neon has done it', 'onAnswer', { succeeded: '0', unchanged: '1' }],
  ] as const)('%s: the next undo ends well, and nothing is lost', async (_, moment, outputs) => {
    const made = await Tenants.seed(fleet, prefix, 'killed');
    const [id = ''] = made.ids;
    await made.write({ '0001_drop': DROPS });
    const undo = await made.undoInputs(await fleet.run('migrate', made.inputs()));
    await fleet.query(id, 'INSERT INTO notes VALUES (2)');
    await killAtRestore(undo, moment);

    const again = await fleet.run('migrate', undo);
    expect(again).toMatchObject({ exitCode: 0, outputs: { verdict: 'succeeded', ...outputs } });
    expect(await fleet.query(id, 'SELECT * FROM notes')).toEqual([{ id: 1, text: 'kept' }]);
    expect(await keptNotes(made)).toEqual([{ id: 1 }, { id: 2 }]);
  });
});

/** Holds a restore up until something else is so. */
function holdRestore(until: () => Promise<void>): Watchers {
  return { onRequest: async (request) => (isRestore(request) ? until() : undefined) };
}

describe('at the same time', () => {
  test('two undos go back once', async () => {
    const made = await Tenants.seed(fleet, prefix, 'twice');
    const [id = ''] = made.ids;
    await made.write({ '0001_drop': DROPS });
    const undo = await made.undoInputs(await fleet.run('migrate', made.inputs()));
    await fleet.query(id, 'INSERT INTO notes VALUES (2)');
    // The one that is first has the lock, and the other one waits for it, when the restore begins.
    await using way = await watchApi(
      fleet.neon.apiUrl,
      holdRestore(() => made.sessions('undo', 2)),
    );
    const both = await Promise.all([1, 2].map(() => fleet.run('migrate', { ...undo, 'neon-api-url': way.url })));
    expect(both.map((run) => statuses(run)[`${prefix} twice`]).toSorted()).toEqual([
      'succeeded',
      'unchanged: up-to-date',
    ]);
    expect(both.map(({ exitCode }) => exitCode)).toEqual([0, 0]);
    expect(await fleet.query(id, 'SELECT * FROM notes')).toEqual([{ id: 1, text: 'kept' }]);
    expect(await keptNotes(made)).toEqual([{ id: 1 }, { id: 2 }]);
  });

  test('an undo keeps a migration out until it is back, and neither says what is not so', async () => {
    const made = await Tenants.seed(fleet, prefix, 'between');
    const name = `${prefix} between`;
    await made.write({ '0001_drop': DROPS });
    const undo = await made.undoInputs(await fleet.run('migrate', made.inputs()));
    await made.write({ '0001_drop': DROPS, '0002_more': ['CREATE TABLE more (id int)'] });
    let migrating: Promise<FinishedAction> | undefined;
    await using way = await watchApi(
      fleet.neon.apiUrl,
      holdRestore(async () => {
        migrating = fleet.run('migrate', made.inputs());
        await made.sessions('migrate', 1);
      }),
    );
    const undone = await fleet.run('migrate', { ...undo, 'neon-api-url': way.url });
    const migrated = await migrating;
    if (migrated === undefined) throw new Error('the undo did not restore');

    // All that it says it applied is there: it came after the restore, and nothing was taken from it.
    expect(outcomeOf(migrated, name)).toMatchObject({
      status: 'succeeded',
      migration: { from: '0000_notes', applied: ['0001_drop', '0002_more'] },
    });
    expect(await made.columns()).toEqual(['id']);
    expect(await fleet.tables(made.ids[0] ?? '')).toContain('public.more');
    // The undo was back; whether it still was when it looked depends on who came first.
    const outcome = outcomeOf(undone, name);
    if (outcome.status === 'succeeded') return;
    expect(outcome).toMatchObject({
      status: 'failed',
      detail: expect.stringMatching(/^it was put back, but it is at 0002_more, and not at 0000_notes/),
    });
  });

  test('a migration keeps an undo out, which then leaves the tenant alone', async () => {
    const made = await Tenants.seed(fleet, prefix, 'first');
    await made.write({ '0001_drop': DROPS });
    const undo = await made.undoInputs(await fleet.run('migrate', made.inputs()));
    await made.write({ '0001_drop': DROPS, '0002_slow': ['CREATE TABLE more (id int)', 'SELECT pg_sleep(2)'] });
    const migrating = await fleet.start('migrate', made.inputs());
    await fleet.statementRuns(made.ids[0] ?? '', '%pg_sleep%');
    const [undone, migrated] = await Promise.all([fleet.run('migrate', undo), migrating.finished]);
    expect(migrated.outputs).toMatchObject({ verdict: 'succeeded', succeeded: '1' });
    expect(outcomeOf(undone, `${prefix} first`)).toMatchObject({
      status: 'failed',
      detail: expect.stringContaining('would undo more than this rollout'),
    });
    expect(await made.replaced()).toEqual([]);
    expect(reportOf(undone).counts.failed).toBe(1);
  });
});
