import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { createProject, failureOf, query, run, settingsFor, started, type Started } from './support.js';

describe('misbehaviour on demand', () => {
  let s: Started;
  let project: Awaited<ReturnType<typeof createProject>>;
  beforeAll(async () => {
    s = await started();
    project = await createProject(s.api);
    await query(s.neon, project.uri, 'select 1');
  });
  afterEach(() => s.neon.faults.clear());
  afterAll(() => s.neon.stop());

  test('423, 429 with and without Retry-After, and 503, as often as wanted', async () => {
    s.neon.faults.set(
      { kind: '423', path: 'getProject', times: 1 },
      { kind: '429', retryAfterSeconds: 7, path: 'getProject', times: 1 },
      { kind: '503', path: '/projects/*', times: 1 },
    );
    const get = () => failureOf(s.api.getProject(project.id));
    expect(await get()).toMatchObject({ status: 423, code: 'PROJECT_LOCKED' });
    expect(await get()).toMatchObject({ status: 429, headers: { 'retry-after': '7' } });
    expect(await get()).toMatchObject({ status: 503 });
    await expect(s.api.getProject(project.id)).resolves.toMatchObject({ status: 200 });
    s.neon.faults.set({ kind: '429', times: 1 });
    expect((await get()).headers).not.toHaveProperty('retry-after');
  });

  test.each(['html', 'invalid-json', 'truncated', 'empty'] as const)(
    'an answer whose body is hostile: %s',
    async (body) => {
      s.neon.faults.set({ kind: 'status', status: 502, body });
      const failure = await failureOf(s.api.getProject(project.id));
      expect(failure.code).toBeUndefined();
    },
  );

  test('an answer that gets lost belongs to a request that was carried out', async () => {
    s.neon.faults.set({ kind: 'lost-answer', path: 'createProject', times: 1 });
    expect(await failureOf(s.api.createProject({ project: { name: 'lost-and-found' } }))).toMatchObject({ status: 0 });
    const { data } = await s.api.listProjects({ search: 'lost-and-found' });
    expect(data.projects).toHaveLength(1);
    expect(s.neon.requests().filter(({ status }) => status === 0)).toHaveLength(1);
  });

  test('latency', async () => {
    s.neon.faults.set({ kind: 'latency', ms: 120 });
    const at = performance.now();
    await s.api.getProject(project.id);
    expect(performance.now() - at).toBeGreaterThan(115);
  });

  test('rules come and go through the loopback route', async () => {
    const url = new URL('/_local/faults', s.neon.apiUrl);
    const put = (value: unknown) => fetch(url, { method: 'PUT', body: JSON.stringify(value) });
    expect((await put([{ kind: '503', projectId: 'acme' }])).status).toBe(200);
    expect(await failureOf(s.api.getProject(project.id))).toMatchObject({ status: 503 });
    const refused = await put({ rules: [{ kind: 'nonsense' }, { kind: 'latency' }] });
    expect(refused.status).toBe(400);
    expect(((await refused.json()) as { message: string }).message).toMatch(/rules\.0\.kind[^]*rules\.1\.ms/);
    expect(s.neon.faults.list()).toHaveLength(1);
    await fetch(url, { method: 'DELETE' });
    await expect(s.api.getProject(project.id)).resolves.toMatchObject({ status: 200 });
  });

  test('connections that are reset', async () => {
    s.neon.faults.set({ kind: 'refuse-connections', projectId: project.id });
    await expect(query(s.neon, project.uri, 'select 1')).rejects.toMatchObject({ code: 'ECONNRESET' });
  });

  test('a quota that is used up: no connection, no start', async () => {
    s.neon.faults.set({ kind: 'quota-suspended', projectId: project.id });
    await expect(query(s.neon, project.uri, 'select 1')).rejects.toThrow('exceeded the compute time quota');
    const refused = s.api.startProjectEndpoint(project.id, project.endpointId);
    expect(await failureOf(refused)).toMatchObject({ status: 402, code: 'COMPUTE_TIME_QUOTA_EXCEEDED' });
  });

  test('a project that is still being made: no URI, no connection', async () => {
    s.neon.faults.set({ kind: 'creating', projectId: project.id });
    const { data } = await s.api.listProjectBranches({ projectId: project.id });
    expect(data.branches).toMatchObject([{ current_state: 'init' }]);
    const uri = { projectId: project.id, database_name: 'neondb', role_name: 'neondb_owner' };
    expect(await failureOf(s.api.getConnectionUri(uri))).toMatchObject({ status: 404, code: 'ENDPOINT_NOT_FOUND' });
    await expect(query(s.neon, project.uri, 'select 1')).rejects.toThrow('already has running operations');
    expect(() => s.neon.faults.set({ kind: 'creating', times: 1 })).toThrow('projectId only');
    s.neon.faults.clear();
    expect(await query(s.neon, project.uri, 'select 1 as one')).toEqual([{ one: 1 }]);
  });

  test('a cold start', async () => {
    s.neon.faults.set({ kind: 'cold-start', ms: 150 });
    const at = performance.now();
    await query(s.neon, project.uri, 'select 1');
    expect(performance.now() - at).toBeGreaterThan(145);
  });

  test('a password that is refused', async () => {
    s.neon.faults.set({ kind: 'wrong-password', times: 1 });
    await expect(query(s.neon, project.uri, 'select 1')).rejects.toMatchObject({ code: '28P01' });
    await expect(query(s.neon, project.uri, 'select 1')).resolves.toBeDefined();
  });

  test('a connection that drops in the middle of a result', async () => {
    s.neon.faults.set({ kind: 'drop-after-bytes', bytes: 500_000, times: 1 });
    const { code, stdout } = await run(
      s.neon,
      'psql',
      project.uri,
      '-Atc',
      `copy (select repeat('x', 1000) from generate_series(1, 5000)) to stdout`,
    );
    expect(code).not.toBe(0);
    expect(stdout.length).toBeLessThan(5_000_000);
  });

  test('a connection that drops after a while', async () => {
    s.neon.faults.set({ kind: 'drop-after-ms', ms: 50, times: 1 });
    const client = new pg.Client(settingsFor(s.neon, project.uri));
    const dropped = new Promise((resolve) => client.on('error', resolve));
    // On a busy machine the connection may not even be complete by then.
    await client.connect().then(
      () => dropped,
      (thrown: unknown) => expect(String(thrown)).toContain('terminated'),
    );
  });
});

test("the account's rate limit", async () => {
  const s = await started({ rateLimitPerMinute: 3 });
  try {
    for (let count = 0; count < 3; count++) await s.api.getActiveRegions({});
    const failure = await failureOf(s.api.getActiveRegions({}));
    expect(failure).toMatchObject({ status: 429, headers: { 'retry-after': '20' } });
  } finally {
    await s.neon.stop();
  }
});

test('an idle compute takes its time to start, an active one does not', async () => {
  const s = await started({ coldStartMs: 400 });
  try {
    const [projectId = ''] = await s.neon.seedProjects(['sleeper']);
    await s.neon.adminUrlFor(projectId); // so that making the database is not part of what is measured
    const { data } = await s.api.getConnectionUri({ projectId, database_name: 'neondb', role_name: 'neondb_owner' });
    const took = async () => {
      const at = performance.now();
      await query(s.neon, data.uri, 'select 1');
      return performance.now() - at;
    };
    expect(await took()).toBeGreaterThan(395);
    await s.neon.suspendAll();
    expect(await took()).toBeGreaterThan(395);
  } finally {
    await s.neon.stop();
  }
});
