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

test('the Neon API is asked no faster than it lets an account ask', async () => {
  const size = 60;
  await fleet.neon.seedProjects(Array.from({ length: size }, (_, index) => `paced-${index}`));
  const before = fleet.neon.requests().length;
  const run = await fleet.run('migrate', {
    tenants: 'paced-*',
    'migrations-folder': folder,
    concurrency: '60',
    'neon-api-rate': '',
  });

  expect(run.outputs).toMatchObject({ verdict: 'succeeded', succeeded: String(size) });
  const uris = fleet.neon
    .requests()
    .slice(before)
    .filter(({ path: asked }) => asked.includes('/connection_uri'))
    .map(({ atMs }) => atMs);
  expect(uris).toHaveLength(size);
  // All are wanted at the same time; after the first 40 there are six or seven a second.
  expect(Math.max(...uris) - Math.min(...uris)).toBeGreaterThan(2_000);
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
