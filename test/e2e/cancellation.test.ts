import path from 'node:path';

import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';

import { TestFleet, reportOf, statuses } from '../support/fleet.js';
import { writeMigrations } from '../support/migrations.js';
import { descendantsOf, listProcesses } from '../support/processes.js';

let fleet: TestFleet;
let count = 0;

beforeAll(async () => {
  fleet = await TestFleet.start();
});
afterAll(async () => {
  await fleet[Symbol.asyncDispose]();
});
beforeEach(() => {
  fleet.neon.faults.clear();
  count += 1;
});

/** How long a run may take to end itself after the first signal. */
const MAX_STOP_MS = 5_000;

describe('a cancelled run', () => {
  test('rolls back what is in flight, starts nothing new, and reports every tenant within five seconds', async () => {
    const names = Array.from({ length: 6 }, (_, index) => `c${count}-${index}`);
    const ids = await fleet.neon.seedProjects(names);
    const folder = await writeMigrations(path.join(fleet.folder, `slow-${count}`), {
      '0000_slow': ['CREATE TABLE half_done (id int)', 'SELECT pg_sleep(120)'],
    });

    const run = await fleet.start('migrate', {
      tenants: `c${count}-*`,
      'migrations-folder': folder,
      concurrency: '2',
    });
    await Promise.all([
      fleet.statementRuns(ids[0] ?? '', '%pg_sleep%'),
      fleet.statementRuns(ids[1] ?? '', '%pg_sleep%'),
    ]);
    const cancelledAtMs = performance.now();
    run.cancel();
    const finished = await run.finished;

    expect(performance.now() - cancelledAtMs).toBeLessThan(MAX_STOP_MS);
    expect(finished).toMatchObject({ exitCode: 1, signal: null, outputs: { verdict: 'incomplete', skipped: '6' } });
    expect(Object.values(statuses(finished))).toEqual(Array(6).fill('skipped: cancelled'));
    expect(finished.summary).toContain('6 skipped');
    for (const id of ids) {
      expect(await fleet.tables(id)).toEqual([]);
      // The statement was ended on the server too: nobody is left working for a run that is over.
      expect(
        await fleet.query(
          id,
          `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%pg_sleep%' AND pid <> pg_backend_pid()`,
        ),
      ).toEqual([]);
    }
  });

  test('ends in the same good order when its time limit is reached', async () => {
    const [id = ''] = await fleet.neon.seedProjects([`c${count}-limited`]);
    const folder = await writeMigrations(path.join(fleet.folder, `slow-${count}`), {
      '0000_slow': ['SELECT pg_sleep(120)'],
    });
    const run = await fleet.run('migrate', { tenants: `c${count}-*`, 'migrations-folder': folder, 'time-limit': '1s' });
    expect(run.exitCode).toBe(1);
    expect(reportOf(run).outcomes).toMatchObject([{ projectId: id, status: 'skipped', reason: 'deadline' }]);
  });

  test('leaves no child process', async () => {
    await fleet.neon.seedProjects([`c${count}-child`]);
    const folder = await writeMigrations(path.join(fleet.folder, `slow-${count}`), {
      '0000_slow': ['SELECT pg_sleep(120)'],
    });
    const run = await fleet.start('migrate', { tenants: `c${count}-*`, 'migrations-folder': folder });
    const pid = run.process.pid ?? 0;
    run.cancel();
    await run.finished;
    expect(descendantsOf(await listProcesses(), pid)).toEqual([]);
  });
});
