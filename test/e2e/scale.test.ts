import path from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { TestFleet, reportOf } from '../support/fleet.js';
import { writeMigrations } from '../support/migrations.js';

let fleet: TestFleet;
let folder: string;

beforeAll(async () => {
  fleet = await TestFleet.start();
  folder = await writeMigrations(path.join(fleet.folder, 'drizzle'), { '0000_init': ['CREATE TABLE a (id int)'] });
});
afterAll(async () => {
  await fleet[Symbol.asyncDispose]();
});

describe('a fleet larger than a page of the project list', () => {
  test.each([11, 411])('is migrated to the last of %d projects', async (size) => {
    const names = Array.from({ length: size }, (_, index) => `s${size}-${index}`);
    const ids = await fleet.neon.seedProjects(names);
    const run = await fleet.run('migrate', { tenants: `s${size}-*`, 'migrations-folder': folder, concurrency: '32' });

    expect(run.outputs).toMatchObject({ verdict: 'succeeded', succeeded: String(size) });
    expect(
      reportOf(run)
        .outcomes.map(({ projectId }) => projectId)
        .toSorted(),
    ).toEqual(ids.toSorted());
    expect(run.log).toContain(`${size}/${size}`);
  });
});
