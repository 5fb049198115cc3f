import { readFile } from 'node:fs/promises';

import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { startLocalNeon, type LocalNeon, type LoggedRequest } from '@neon-fleet/local-neon';
import { createApiClient } from '@neondatabase/api-client';
import pMap from 'p-map';

import { foreseenSkip, skipFor } from '../../src/fleet/index.js';
import {
  findDatabase,
  openNeon,
  waitForOperations,
  type Neon,
  type NeonOptions,
  type RetryNotice,
} from '../../src/neon/index.js';
import { connect, parseConnectionUri } from '../../src/postgres/index.js';

let local: LocalNeon;
let authorities: string[];

beforeAll(async () => {
  local = await startLocalNeon({ s3: false, operationMs: 20, restorePoints: true });
  authorities = [await readFile(local.caFile, 'utf8')];
});
afterEach(() => local.faults.clear());
afterAll(() => local.stop());

function opened(stand: LocalNeon, options: Partial<NeonOptions> = {}): Neon {
  return openNeon({
    apiKey: stand.apiKey,
    apiUrl: stand.apiUrl,
    userAgent: 'neon-fleet test',
    ratePerMinute: 100_000,
    ...options,
  });
}

const DATABASE = { database: 'neondb', role: 'neondb_owner', assumed: { database: true, role: true } } as const;

async function inDatabase<T>(uri: string, ...statements: string[]): Promise<T[]> {
  const connection = await connect(parseConnectionUri(uri), { authorities });
  try {
    let rows: unknown[] = [];
    for (const statement of statements) rows = await connection.query(statement);
    return rows as T[];
  } finally {
    await connection.close();
  }
}

/** Requests that the API carried out, whatever became of the answer. */
function carriedOut(requests: readonly LoggedRequest[], method: string, path: RegExp): LoggedRequest[] {
  return requests.filter(
    (request) => request.method === method && path.test(request.path) && (request.status === 0 || request.status < 300),
  );
}

test('with all that can go wrong on the way, all calls are done, and each change once', async () => {
  const ids = await local.seedProjects(Array.from({ length: 40 }, (_, index) => `loaded-${index}`));
  const moments = await pMap(ids, async (id) => ({ id, lsn: (await local.recordState(id)).lsn }), { concurrency: 8 });
  local.faults.load({
    seed: 7,
    rules: [
      { kind: 'latency', ms: 5 },
      { kind: '429', probability: 0.05, retryAfterSeconds: 1, times: 3 },
      { kind: '429', probability: 0.05 },
      { kind: '423', probability: 0.02 },
      { kind: '503', probability: 0.02 },
      { kind: 'lost-answer', probability: 0.3, method: 'POST' },
      { kind: 'lost-answer', probability: 0.3, method: 'DELETE' },
      { kind: 'lost-answer', probability: 0.02 },
    ],
  });
  const retried: RetryNotice[] = [];
  const told: number[] = [];
  const neon = opened(local, {
    onRetry: (notice) => retried.push(notice),
    onThrottled: (times) => told.push(times),
  });
  const before = local.requests().length;

  await pMap(
    moments,
    async ({ id, lsn }) => {
      await findDatabase(neon, { projectId: id, ...DATABASE });
      expect(await neon.getProject(id)).toMatchObject({ projectId: id, historyRetentionSeconds: 86_400 });
      const main = await neon.defaultBranch(id);

      const copy = await neon.createBranch({ projectId: id, name: 'before', parentId: main.id });
      expect(copy.branch).toMatchObject({ name: 'before', parentId: main.id, isDefault: false, isProtected: false });
      await waitForOperations(neon, id, copy.operations);

      const restored = await neon.restoreBranch({
        projectId: id,
        branchId: main.id,
        sourceBranchId: main.id,
        sourceLsn: lsn,
        preserveUnderName: 'kept',
      });
      expect(restored.branch).toMatchObject({ id: main.id, isDefault: true });
      await waitForOperations(neon, id, restored.operations);

      await waitForOperations(neon, id, await neon.deleteBranch(id, copy.branch.id));
    },
    { concurrency: 16 },
  );

  const requests = local.requests().slice(before);
  local.faults.clear();
  for (const id of ids) {
    expect(carriedOut(requests, 'POST', new RegExp(`^/projects/${id}/branches$`))).toHaveLength(1);
    expect(carriedOut(requests, 'POST', new RegExp(`^/projects/${id}/branches/[^/]+/restore$`))).toHaveLength(1);
    expect(carriedOut(requests, 'DELETE', new RegExp(`^/projects/${id}/branches/`))).toHaveLength(1);
    expect((await neon.listBranches(id)).map(({ name }) => name).toSorted()).toStrictEqual(['kept', 'main']);
  }
  // It did go wrong, in all ways.
  expect(new Set(retried.map(({ why }) => why))).toStrictEqual(
    new Set(['HTTP 429', 'HTTP 423', 'HTTP 503', 'no answer']),
  );
  expect(requests.filter(({ method, status }) => method === 'POST' && status === 0).length).toBeGreaterThan(5);
  expect(told.length).toBeGreaterThanOrEqual(1);
});

test('an account whose limit is reached slows everybody down, and all of them are served', async () => {
  const limited = await startLocalNeon({ s3: false, rateLimitPerMinute: 120, projects: 1 });
  try {
    const told: number[] = [];
    const neon = opened(limited, { onThrottled: (times) => told.push(times) });
    const [project] = (await neon.listProjects()).projects;
    const id = project?.projectId ?? '';
    // The list was two requests; five more than the account may make at once.
    await pMap(Array.from({ length: 123 }), () => neon.getProject(id), { concurrency: 16 });
    const statuses = limited.requests().map(({ status }) => status);
    expect(statuses.filter((status) => status === 200)).toHaveLength(125);
    const refused = statuses.filter((status) => status === 429).length;
    expect(refused).toBeGreaterThan(0);
    // Those that were on their way, and few others: they do not all come back to be refused again.
    expect(refused).toBeLessThan(40);
    expect(told[0]).toBe(1);
  } finally {
    await limited.stop();
  }
});

test('a branch goes back to the position in the log that was read before a change, though the answer is lost', async () => {
  const [projectId = ''] = await local.seedProjects(['restored']);
  const neon = opened(local);
  const { uri } = await findDatabase(neon, { projectId, ...DATABASE });
  const [row] = await inDatabase<{ lsn: string }>(
    uri,
    'CREATE TABLE notes (text text)',
    "INSERT INTO notes VALUES ('before')",
    'SELECT pg_current_wal_insert_lsn()::text AS lsn',
  );
  await inDatabase(uri, "INSERT INTO notes VALUES ('after')", 'ALTER TABLE notes ADD COLUMN broken int');

  const main = await neon.defaultBranch(projectId);
  local.faults.set({ kind: 'lost-answer', path: 'restoreProjectBranch', times: 1 });
  const restored = await neon.restoreBranch({
    projectId,
    branchId: main.id,
    sourceBranchId: main.id,
    sourceLsn: row?.lsn ?? '',
    preserveUnderName: 'before-undo',
  });
  await waitForOperations(neon, projectId, restored.operations);

  // The same endpoint leads to the old state, and the other one is not lost.
  expect(await inDatabase(uri, 'SELECT * FROM notes')).toStrictEqual([{ text: 'before' }]);
  const kept = (await neon.listBranches(projectId)).find(({ name }) => name === 'before-undo');
  const admin = await local.adminUrlFor(projectId, { branchId: kept?.id ?? '' });
  const connection = await connect(parseConnectionUri(`${admin}?sslmode=disable`));
  expect(await connection.query('SELECT * FROM notes')).toHaveLength(2);
  await connection.close();
});

describe('a tenant that cannot be reached has a reason of its own:', () => {
  async function reach(projectId: string): Promise<unknown> {
    try {
      const { uri } = await findDatabase(opened(local), { projectId, ...DATABASE });
      return await inDatabase(uri.replace('@localhost', '@127.0.0.1'), 'SELECT 1 AS one');
    } catch (thrown) {
      return skipFor(thrown) ?? thrown;
    }
  }
  const api = () => createApiClient({ apiKey: local.apiKey, baseURL: local.apiUrl });
  const seeded = async (name: string) => (await local.seedProjects([name]))[0] ?? '';

  test('an address that is not in the list, until it is', async () => {
    const id = await seeded('restricted');
    await api().updateProject(id, { project: { settings: { allowed_ips: { ips: ['203.0.113.7'] } } } });
    expect(await reach(id)).toMatchObject({
      reason: 'ip-restricted',
      error: {
        message: expect.stringContaining('127.0.0.1 is not allowed'),
        hint: expect.stringContaining('allow-list'),
      },
    });
    const listed = (await opened(local).listProjects('restricted')).projects;
    expect(listed).toMatchObject([{ projectId: id, allowedIps: ['203.0.113.7'] }]);
  });

  test('public connections are blocked, which the list tells as well', async () => {
    const id = await seeded('blocked');
    await api().updateProject(id, { project: { settings: { block_public_connections: true } } });
    expect(await reach(id)).toMatchObject({ reason: 'ip-restricted' });
    const [project] = (await opened(local).listProjects('blocked')).projects;
    expect(project === undefined ? undefined : foreseenSkip(project)).toMatchObject({ reason: 'ip-restricted' });
  });

  test('it is still being made', async () => {
    const id = await seeded('young');
    local.faults.set({ kind: 'creating', projectId: id });
    expect(await reach(id)).toMatchObject({ reason: 'creating' });
  });

  test('it is still being made, and its URI was known before', async () => {
    const id = await seeded('young, too');
    const { uri } = await findDatabase(opened(local), { projectId: id, ...DATABASE });
    local.faults.set({ kind: 'creating', projectId: id });
    const thrown: unknown = await inDatabase(uri, 'SELECT 1').catch((error: unknown) => error);
    expect(skipFor(thrown)).toMatchObject({ reason: 'creating' });
  });

  test('its quota is used up', async () => {
    const id = await seeded('used up');
    local.faults.set({ kind: 'quota-suspended', projectId: id });
    expect(await reach(id)).toMatchObject({ reason: 'quota-suspended' });
  });

  test('it is gone, before and after its URI was fetched', async () => {
    const id = await seeded('gone');
    const { uri } = await findDatabase(opened(local), { projectId: id, ...DATABASE });
    await api().deleteProject(id);
    expect(await reach(id)).toMatchObject({ reason: 'gone' });
    const thrown: unknown = await inDatabase(uri, 'SELECT 1').catch((error: unknown) => error);
    expect(skipFor(thrown)).toMatchObject({ reason: 'gone' });
  });
});
