import { describe, expect, test } from '@jest/globals';

import { catalogProblems, eventOf, knownTenants, runRecordOf, sparingCatalog } from '../../../src/actions/index.js';
import { catalogBatchSchema } from '../../../src/catalog/index.js';
import type { Neon } from '../../../src/neon/index.js';
import { makeReport, type Outcome, type Tenant } from '../../../src/fleet/index.js';

const AT = '2026-11-02T03:04:05.678Z';
const identity = { projectId: 'p-1', name: 'ACME', database: 'neondb', attempts: 1, startedAt: AT, durationMs: 1 };
const migration = {
  from: '0000',
  to: '0001',
  applied: ['0001'],
  verified: { table: 't', digest: 'd' },
};
const SUCCEEDED: Outcome = { ...identity, status: 'succeeded', detail: 'done', migration };
const FAILED: Outcome = {
  ...identity,
  status: 'failed',
  detail: 'boom',
  error: { message: 'boom', code: 'E' },
  migration,
};
const UNTOUCHED: Outcome = { ...identity, attempts: 0, status: 'skipped', reason: 'budget', detail: 'not started' };

function recordOf(
  outcome: Outcome,
  more: Partial<Parameters<typeof makeReport>[0]> = {},
  known: readonly Tenant[] = [],
) {
  const report = makeReport({
    action: 'migrate',
    command: 'run',
    startedAt: new Date(AT),
    endedAt: new Date(AT),
    outcomes: [outcome],
    ...more,
  });
  const run = runRecordOf(report, knownTenants(known), { GITHUB_RUN_ATTEMPT: '3', GITHUB_ACTOR: 'octocat' });
  expect(catalogBatchSchema.parse(JSON.parse(JSON.stringify({ schemaVersion: 1, run })))).toEqual({
    schemaVersion: 1,
    run,
  });
  return { run, outcome: run.outcomes[0] };
}

describe('an outcome as the catalog is told it', () => {
  test('says what was read in the database when it went well', () => {
    expect(recordOf(SUCCEEDED).outcome).toMatchObject({ from: '0000', to: '0001', verified: { table: 't' } });
    expect(recordOf(SUCCEEDED).outcome).not.toHaveProperty('inDoubt');
  });

  test('says where a failure left it, and that this is not certain', () => {
    const { outcome } = recordOf(FAILED);
    expect(outcome).toMatchObject({ to: '0001', isVersionKnown: true, inDoubt: true, errorCode: 'E' });
    expect(outcome).not.toHaveProperty('verified');
  });

  test('says that there is no migration any more', () => {
    const outcome = recordOf({ ...SUCCEEDED, migration: { from: '0000', applied: [] } }, { command: 'undo' }).outcome;
    expect(outcome).toMatchObject({ from: '0000', isVersionKnown: true, inDoubt: true });
    expect(outcome).not.toHaveProperty('to');
  });

  test.each<[Outcome, boolean]>([
    [SUCCEEDED, true],
    [FAILED, true],
    [{ ...identity, status: 'unchanged', reason: 'up-to-date', detail: '' }, false],
    [{ ...identity, status: 'skipped', reason: 'locked', detail: '' }, false],
  ])('of undo is in doubt when something may have been put back', (outcome, inDoubt) => {
    expect(recordOf(outcome, { command: 'undo' }).outcome?.inDoubt === true).toBe(inDoubt);
  });

  test('of a backup says nothing about the schema', () => {
    expect(recordOf({ ...FAILED, migration: { applied: [] } }, { action: 'backup' }).outcome).not.toHaveProperty(
      'inDoubt',
    );
  });

  test('of whom nobody looked at says nothing about the schema either', () => {
    for (const outcome of [UNTOUCHED, { ...SUCCEEDED, attempts: 0 }]) {
      const told = recordOf(outcome).outcome;
      for (const name of ['to', 'isVersionKnown', 'verified', 'inDoubt']) expect(told).not.toHaveProperty(name);
    }
  });

  test('says of a tenant what was known before', () => {
    const tenant: Tenant = {
      key: 'acme',
      projectId: 'p-1',
      name: 'ACME',
      branch: 'live',
      database: 'neondb',
      role: 'app',
      assumed: { database: true, role: false },
      labels: {},
      regionId: 'aws-us-east-1',
      pgVersion: 17,
    };
    expect(recordOf(SUCCEEDED, {}, [tenant]).outcome).toMatchObject({
      key: 'acme',
      branch: 'live',
      role: 'app',
      isDatabaseAssumed: true,
      regionId: 'aws-us-east-1',
      pgVersion: 17,
    });
  });

  test('belongs to one run with those of all shards, attempts and the report', () => {
    const shard = recordOf(SUCCEEDED, { plan: { id: 'the-plan', shard: 2, attempt: 1 } }).run;
    const report = recordOf(SUCCEEDED, { command: 'report', plan: { id: 'the-plan' } }).run;
    expect([shard.runKey, shard.part]).toEqual(['migrate/the-plan', { number: 2, attempt: 1 }]);
    expect([report.runKey, report.part]).toEqual(['migrate/the-plan', { number: 0, attempt: 3 }]);
    expect(recordOf(SUCCEEDED).run).not.toHaveProperty('part');
  });
});

describe('an event as the catalog is told it', () => {
  const at = new Date(AT);
  const env = {
    GITHUB_ACTOR: 'octocat',
    GITHUB_SERVER_URL: 'https://github.com',
    GITHUB_REPOSITORY: 'org/app',
    GITHUB_RUN_ID: '7',
  };

  test('says who did it and in which run, as far as that is known', () => {
    const event = { at: AT, action: 'provision', what: 'made', projectId: 'p-1' };
    expect(eventOf('provision', 'made', 'p-1', at, { env })).toEqual({
      ...event,
      eventKey: 'made/p-1',
      actor: 'octocat',
      runUrl: 'https://github.com/org/app/actions/runs/7',
    });
    expect(eventOf('provision', 'made', 'p-1', at, { env: {} })).toEqual({ ...event, eventKey: 'made/p-1' });
  });

  test('is one of its kind unless it may repeat', () => {
    expect(eventOf('provision', 'made', 'p-1', at, { repeats: true, env: {} }).eventKey).toBe(`made/p-1/${AT}`);
  });
});

describe('inputs about a catalog', () => {
  test.each([
    [{ source: 'catalog' }, ['source']],
    [{ state: 'catalog', source: 'catalog' }, ['source', 'state']],
    [{ source: 'neon', state: 'live' }, []],
    [{ catalogUrl: 'postgresql://a:b@host/c', source: 'catalog' }, []],
    [{ catalogUrl: 'mysql://a:secret-word@host/c' }, ['catalog-url']],
  ])('%j have the problems %j', (values, inputs) => {
    const problems = catalogProblems(values);
    expect(problems.map(({ input }) => input)).toEqual(inputs);
    expect(JSON.stringify(problems)).not.toContain('secret-word');
  });
});

describe('the way to Neon', () => {
  const neon: Pick<Neon, 'connectionUri'> = {
    connectionUri: () => Promise.resolve('postgresql://a:b@ep-misty-1.eu.aws.neon.tech/neondb'),
  };
  const request = { projectId: 'p-1', database: 'd', role: 'r' };

  test.each([
    'postgresql://x:y@ep-misty-1.eu.aws.neon.tech/other',
    'postgresql://x:y@ep-misty-1-pooler.eu.aws.neon.tech/other?sslmode=require',
    'postgresql://x:y@EP-Misty-1-Pooler.EU.aws.neon.tech/other',
  ])('does not lead to the catalog at %s', async (url) => {
    await expect(sparingCatalog(neon, url).connectionUri(request)).rejects.toThrow(
      /p-1 is the one that the catalog is in/,
    );
  });

  test.each([undefined, 'postgresql://x:y@ep-other-1.eu.aws.neon.tech/neondb'])(
    'leads everywhere else with the catalog at %s',
    async (url) => {
      expect(await sparingCatalog(neon, url).connectionUri(request)).toContain('ep-misty-1');
    },
  );
});
