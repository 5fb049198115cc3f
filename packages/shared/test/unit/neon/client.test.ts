import { inspect } from 'node:util';

import { afterEach, describe, expect, test } from '@jest/globals';

import { ExplainedError } from '../../../src/errors/index.js';
import { StoppedError } from '../../../src/fleet/index.js';
import {
  NeonApiError,
  openNeon,
  systemClock,
  type Neon,
  type NeonOptions,
  type NewProject,
  type RetryNotice,
} from '../../../src/neon/index.js';
import { hurriedClock, VirtualClock } from '../../support/clocks.js';
import { scriptedServer, type Answer, type Asked, type ScriptedServer } from '../../support/scripted-server.js';

const API_KEY = 'napi_s3cret_key_0123456789';
const PASSWORD = 'npg_s3cretPassword';
const URI = `postgresql://neondb_owner:${PASSWORD}@ep-x.neon.tech/neondb?sslmode=require`;

const servers: ScriptedServer[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

interface Scene {
  readonly neon: Neon;
  readonly server: ScriptedServer;
  /** How long it was told to wait by `Retry-After`, each time. */
  readonly slept: number[];
  readonly retried: RetryNotice[];
  readonly secrets: string[];
}

/** Shorter waits than this are for a turn among a million requests a minute. */
const IN_NO_TIME_MS = 5;

/** The client in front of a server that answers with these, the last one for ever, or as a function says. */
async function scene(
  script: Answer[] | ((asked: Asked, index: number) => Answer),
  options: Partial<NeonOptions> = {},
): Promise<Scene> {
  const server = await scriptedServer(
    typeof script === 'function' ? script : (_, index) => script[Math.min(index, script.length - 1)] ?? 'lost',
  );
  servers.push(server);
  const slept: number[] = [];
  const retried: RetryNotice[] = [];
  const secrets: string[] = [];
  const neon = openNeon({
    apiKey: API_KEY,
    apiUrl: server.url,
    userAgent: 'neon-fleet test',
    retryPolicy: { retries: 4, minDelayMs: 1, maxDelayMs: 2 },
    ratePerMinute: 1_000_000,
    random: () => 0,
    // A wait is over at once, and time has passed all the same.
    clock: hurriedClock((ms) => {
      if (ms > IN_NO_TIME_MS) slept.push(ms);
    }),
    onRetry: (notice) => retried.push(notice),
    onSecret: (secret) => secrets.push(secret),
    ...options,
  });
  return { neon, server, slept, retried, secrets };
}

async function thrownBy(act: () => Promise<unknown>): Promise<unknown> {
  try {
    await act();
  } catch (thrown) {
    return thrown;
  }
  throw new Error('nothing was thrown');
}

function projectAnswer(id: string, name = id) {
  return { id, name, region_id: 'aws-us-east-1', pg_version: 17, created_at: '2026-01-01T00:00:00Z', owner_id: 'x' };
}

const CREATED = {
  project: projectAnswer('p-new', 'ACME'),
  branch: { id: 'br-1', name: 'main', default: true },
  databases: [{ name: 'neondb', owner_name: 'neondb_owner' }],
  operations: [{ id: 'op-1', action: 'create_timeline', status: 'running' }],
  connection_uris: [{ connection_uri: URI }],
};

const BRANCH = { id: 'br-1', name: 'main', default: true };

const ANSWERS: Readonly<Record<string, unknown>> = {
  listProjects: { projects: [] },
  createProject: CREATED,
  listBranches: { branches: [] },
  listDatabases: { databases: [] },
  listOperations: { operations: [] },
  getOperation: { operation: { id: 'op-1', action: 'a', status: 'finished' } },
  connectionUri: { uri: URI },
  getProject: { project: projectAnswer('p-1') },
  getBranch: { branch: BRANCH },
  defaultBranch: { branches: [BRANCH] },
  createBranch: { branch: BRANCH, operations: [] },
  // Also the answer to the look that comes before.
  restoreBranch: { branches: [], branch: BRANCH, operations: [] },
  deleteBranch: { branch: BRANCH, operations: [] },
  createDatabase: { operations: [] },
};

const CALLS: Readonly<Record<string, (neon: Neon) => Promise<unknown>>> = {
  listProjects: (neon) => neon.listProjects(),
  createProject: (neon) => neon.createProject({ name: 'ACME' }),
  listBranches: (neon) => neon.listBranches('p-1'),
  listDatabases: (neon) => neon.listDatabases('p-1', 'br-1'),
  listOperations: (neon) => neon.listOperations('p-1'),
  getOperation: (neon) => neon.getOperation('p-1', 'op-1'),
  connectionUri: (neon) => neon.connectionUri({ projectId: 'p-1', database: 'neondb', role: 'neondb_owner' }),
  getProject: (neon) => neon.getProject('p-1'),
  getBranch: (neon) => neon.getBranch('p-1', 'br-1'),
  defaultBranch: (neon) => neon.defaultBranch('p-1'),
  createBranch: (neon) => neon.createBranch({ projectId: 'p-1', name: 'before' }),
  restoreBranch: (neon) =>
    neon.restoreBranch({
      projectId: 'p-1',
      branchId: 'br-1',
      sourceBranchId: 'br-1',
      sourceLsn: '0/1',
      preserveUnderName: 'kept',
    }),
  deleteBranch: (neon) => neon.deleteBranch('p-1', 'br-1'),
  createDatabase: (neon) => neon.createDatabase('p-1', 'br-1', { name: 'fresh', owner: 'owner' }),
};
const calls = Object.entries(CALLS);
const WRITES: ReadonlySet<string> = new Set([
  'createProject',
  'createBranch',
  'restoreBranch',
  'deleteBranch',
  'createDatabase',
]);
const reads = calls.filter(([name]) => !WRITES.has(name));

function call(name: string): (neon: Neon) => Promise<unknown> {
  const found = CALLS[name];
  if (found === undefined) throw new Error(`no call ${name}`);
  return found;
}

describe('the list of projects', () => {
  /** Gives a fleet in pages; the cursor is where the next page begins. */
  function inPages(total: number, pageSize: number) {
    return ({ query }: Asked): Answer => {
      const from = Number(query.get('cursor') ?? 0);
      const ids = Array.from(
        { length: Math.max(0, Math.min(pageSize, total - from)) },
        (_, index) => `p-${from + index}`,
      );
      const next = from + ids.length;
      return { body: { projects: ids.map((id) => projectAnswer(id)), pagination: { cursor: String(next) } } };
    };
  }

  test.each([
    [0, 400],
    [1, 400],
    [10, 400],
    [401, 400],
    [1_234, 400],
    // A server that gives less than it was asked for.
    [35, 10],
  ])('of %d, %d a page, is read to its end', async (total, pageSize) => {
    const { neon, server } = await scene(inPages(total, pageSize));
    const { projects } = await neon.listProjects();
    expect(projects.map(({ projectId }) => projectId)).toStrictEqual(Array.from({ length: total }, (_, i) => `p-${i}`));
    expect(server.asked.every(({ query }) => query.get('limit') === '400')).toBe(true);
  });

  test('goes on after pages that are short or empty', async () => {
    const { neon } = await scene([
      { body: { projects: [projectAnswer('p-1')], pagination: { cursor: 'a' } } },
      { body: { projects: [], pagination: { cursor: 'b' } } },
      { body: { projects: [projectAnswer('p-2')] } },
    ]);
    expect((await neon.listProjects()).projects.map(({ projectId }) => projectId)).toStrictEqual(['p-1', 'p-2']);
  });

  test.each<[string, unknown]>([
    ['no pagination', undefined],
    ['null', null],
    ['no cursor', {}],
    ['an empty cursor', { cursor: '' }],
  ])('ends at a page with %s', async (_, pagination) => {
    const { neon, server } = await scene([{ body: { projects: [projectAnswer('p-1')], pagination } }]);
    await neon.listProjects();
    expect(server.asked).toHaveLength(1);
  });

  test('has a project once that two pages show, since the fleet may change in between', async () => {
    const { neon } = await scene([
      { body: { projects: [projectAnswer('p-1', 'old'), projectAnswer('p-2')], pagination: { cursor: 'a' } } },
      { body: { projects: [projectAnswer('p-1', 'new')] } },
    ]);
    const { projects } = await neon.listProjects();
    expect(projects.map(({ projectId, name }) => [projectId, name])).toStrictEqual([
      ['p-1', 'new'],
      ['p-2', 'p-2'],
    ]);
  });

  test('tells what Neon could not describe, from all pages, unless another page had it', async () => {
    const { neon } = await scene([
      {
        body: {
          projects: [projectAnswer('p-1')],
          pagination: { cursor: 'a' },
          unavailable_project_ids: ['p-8', 'p-2'],
        },
      },
      { body: { projects: [projectAnswer('p-2')], unavailable_project_ids: ['p-9', 'p-8'] } },
    ]);
    expect((await neon.listProjects()).unavailableProjectIds).toStrictEqual(['p-8', 'p-9']);
  });

  test('is narrowed by search and organisation, on every page', async () => {
    const { neon, server } = await scene(inPages(20, 10), { orgId: 'org-1' });
    await neon.listProjects('ACME Corp');
    expect(server.asked).toHaveLength(3);
    for (const { query } of server.asked) {
      expect([query.get('search'), query.get('org_id')]).toStrictEqual(['ACME Corp', 'org-1']);
    }
  });

  test('gives each project in our terms', async () => {
    const { neon } = await scene([{ body: { projects: [projectAnswer('p-1', 'ACME')] } }]);
    expect((await neon.listProjects()).projects).toStrictEqual([
      { projectId: 'p-1', name: 'ACME', regionId: 'aws-us-east-1', pgVersion: 17, createdAt: '2026-01-01T00:00:00Z' },
    ]);
  });
});

describe('what else the list tells of a project', () => {
  const listed = async (more: object) => {
    const { neon } = await scene([{ body: { projects: [{ ...projectAnswer('p-1'), ...more }] } }]);
    const [project] = (await neon.listProjects()).projects;
    return project;
  };

  test('is kept in our terms', async () => {
    expect(
      await listed({
        compute_last_active_at: '2026-11-01T00:00:00Z',
        history_retention_seconds: 86_400,
        deleted_at: '2026-11-02T00:00:00Z',
        settings: {
          allowed_ips: { ips: ['203.0.113.7'], protected_branches_only: true },
          block_public_connections: true,
          block_vpc_connections: true,
        },
      }),
    ).toStrictEqual({
      projectId: 'p-1',
      name: 'p-1',
      regionId: 'aws-us-east-1',
      pgVersion: 17,
      createdAt: '2026-01-01T00:00:00Z',
      computeLastActiveAt: '2026-11-01T00:00:00Z',
      historyRetentionSeconds: 86_400,
      deletedAt: '2026-11-02T00:00:00Z',
      allowedIps: ['203.0.113.7'],
      allowedIpsForProtectedOnly: true,
      blocksPublicConnections: true,
      blocksVpcConnections: true,
    });
  });

  test.each<[string, object]>([
    ['null', { compute_last_active_at: null, history_retention_seconds: null, settings: null, deleted_at: null }],
    [
      'of another type',
      { compute_last_active_at: 7, history_retention_seconds: 'a day', settings: [], deleted_at: {} },
    ],
    ['that say nothing', { settings: { allowed_ips: { ips: [] }, block_public_connections: false } }],
    ['of another shape', { settings: { allowed_ips: { ips: 'all' }, block_public_connections: 'no' } }],
  ])('is left out when there are values %s', async (_, more) => {
    expect(await listed(more)).toStrictEqual({
      projectId: 'p-1',
      name: 'p-1',
      regionId: 'aws-us-east-1',
      pgVersion: 17,
      createdAt: '2026-01-01T00:00:00Z',
    });
  });
});

describe('a change of a branch says only what was asked for:', () => {
  test.each<[object, (neon: Neon) => Promise<unknown>]>([
    [{ branch: { name: 'before' } }, (neon) => neon.createBranch({ projectId: 'p-1', name: 'before' })],
    [
      {
        branch: { name: 'before', parent_id: 'br-1', parent_lsn: '0/1', expires_at: '2026-11-02T03:04:05Z' },
      },
      (neon) =>
        neon.createBranch({
          projectId: 'p-1',
          name: 'before',
          parentId: 'br-1',
          parentLsn: '0/1',
          expiresAt: '2026-11-02T03:04:05.678Z',
        }),
    ],
    [
      {
        branch: { name: 'then', parent_timestamp: '2026-11-02T03:04:05.678Z' },
        endpoints: [{ type: 'read_write' }],
      },
      (neon) =>
        neon.createBranch({
          projectId: 'p-1',
          name: 'then',
          parentTimestamp: '2026-11-02T03:04:05.678Z',
          withCompute: true,
        }),
    ],
    [
      { source_branch_id: 'br-1', source_lsn: '0/1', preserve_under_name: 'kept' },
      (neon) => call('restoreBranch')(neon),
    ],
    [
      { source_branch_id: 'br-2', source_timestamp: '2026-11-02T03:04:05Z', preserve_under_name: 'kept' },
      (neon) =>
        neon.restoreBranch({
          projectId: 'p-1',
          branchId: 'br-1',
          sourceBranchId: 'br-2',
          sourceTimestamp: '2026-11-02T03:04:05Z',
          preserveUnderName: 'kept',
        }),
    ],
  ])('%j', async (sent, act) => {
    const { neon, server } = await scene([{ body: ANSWERS['restoreBranch'] }]);
    await act(neon);
    const body = JSON.parse(server.asked.at(-1)?.body ?? '') as Record<string, unknown>;
    // The mark by which a branch of ours is known again.
    delete body['annotation_value'];
    expect(body).toStrictEqual(sent);
  });
});

describe('a new database', () => {
  const make = (neon: Neon) => neon.createDatabase('p-1', 'br-1', { name: 'fresh', owner: 'owner' });
  const there = { databases: [{ name: 'fresh', owner_name: 'owner' }] };
  const busy = { operations: [{ id: 'op-1', action: 'apply_config', status: 'running' }] };

  test.each<[string, Answer | 'lost']>([
    ['the answer is lost', 'lost'],
    ['it is there already', { status: 409, body: { message: 'exists', code: 'DATABASE_ALREADY_EXISTS' } }],
  ])('is looked for when %s, and made once', async (_, first) => {
    const { neon, server } = await scene([first, { body: there }, { body: busy }]);
    await expect(make(neon)).resolves.toEqual(busy.operations);
    expect(server.asked.filter(({ method }) => method === 'POST')).toHaveLength(1);
  });

  test.each<[string, Answer | 'lost']>([
    ['the answer is lost and it is not there', 'lost'],
    ['it is refused', { status: 400, body: { message: 'no', code: '' } }],
  ])('fails when %s', async (_, first) => {
    const { neon, server } = await scene([first, { body: { databases: [] } }]);
    await expect(make(neon)).rejects.toThrow(/createProjectBranchDatabase/);
    expect(server.asked.filter(({ method }) => method === 'POST')).toHaveLength(1);
  });
});

describe('a new project', () => {
  test.each<[NewProject, object]>([
    [{ name: 'ACME' }, { name: 'ACME' }],
    [
      { name: 'ACME', regionId: 'aws-eu-central-1', pgVersion: 16, branch: 'main', database: 'app', role: 'app_owner' },
      {
        name: 'ACME',
        region_id: 'aws-eu-central-1',
        pg_version: 16,
        branch: { name: 'main', database_name: 'app', role_name: 'app_owner' },
      },
    ],
  ])('%j says only what was asked for', async (wanted, sent) => {
    const { neon, server } = await scene([{ body: CREATED }]);
    const { project, operations } = await neon.createProject(wanted);
    expect(JSON.parse(server.asked[0]?.body ?? '')).toStrictEqual({ project: sent });
    expect(project.projectId).toBe('p-new');
    expect(operations.map(({ id }) => id)).toStrictEqual(['op-1']);
  });

  test('belongs to the organisation', async () => {
    const { neon, server } = await scene([{ body: CREATED }], { orgId: 'org-1' });
    await neon.createProject({ name: 'ACME' });
    expect(JSON.parse(server.asked[0]?.body ?? '')).toMatchObject({ project: { org_id: 'org-1' } });
  });

  test('has its password handed over for masking', async () => {
    const { neon, secrets } = await scene([{ body: CREATED }]);
    await neon.createProject({ name: 'ACME' });
    expect(secrets).toStrictEqual([URI]);
  });
});

describe('a connection URI', () => {
  test('is handed over for masking before anybody else has it', async () => {
    const order: string[] = [];
    const { neon, server } = await scene([{ body: { uri: URI } }], { onSecret: (secret) => order.push(secret) });
    const uri = await neon.connectionUri({
      projectId: 'p-1',
      database: 'app',
      role: 'owner',
      branchId: 'br-1',
      pooled: true,
    });
    order.push('given');
    expect(uri).toBe(URI);
    expect(order).toStrictEqual([URI, 'given']);
    expect(Object.fromEntries(server.asked[0]?.query ?? [])).toStrictEqual({
      database_name: 'app',
      role_name: 'owner',
      branch_id: 'br-1',
      pooled: 'true',
    });
  });

  test('of the direct host is what is asked for when nothing is said', async () => {
    const { neon, server } = await scene([{ body: { uri: URI } }]);
    await neon.connectionUri({ projectId: 'p-1', database: 'app', role: 'owner' });
    expect(server.asked[0]?.query.has('pooled')).toBe(false);
  });
});

describe('a listing of branches', () => {
  test('is read to its end', async () => {
    const branch = (id: string) => ({ id, name: `name of ${id}`, default: id === 'br-1' });
    const { neon, server } = await scene([
      { body: { branches: [branch('br-1')], pagination: { next: 'a' } } },
      { body: { branches: [branch('br-2')] } },
    ]);
    expect(await neon.listBranches('p-1')).toStrictEqual([
      { id: 'br-1', name: 'name of br-1', isDefault: true },
      { id: 'br-2', name: 'name of br-2', isDefault: false },
    ]);
    expect(server.asked.map(({ query }) => query.get('cursor'))).toStrictEqual([null, 'a']);
  });
});

describe('every call', () => {
  test.each(calls)('%s carries the key in the header, and nowhere else', async (name, act) => {
    const { neon, server } = await scene([{ body: ANSWERS[name] }]);
    await act(neon);
    for (const { headers, path, query, body } of server.asked) {
      expect(headers.authorization).toBe(`Bearer ${API_KEY}`);
      expect(headers['user-agent']).toBe('neon-fleet test');
      expect(`${path}?${query.toString()} ${body}`).not.toContain(API_KEY);
    }
  });

  test.each(calls)('%s has a number of its own for each attempt', async (name, act) => {
    const { neon, server } = await scene([{ status: 503 }, { status: 503 }, { body: ANSWERS[name] }]);
    await act(neon);
    const numbers = server.asked.map(({ headers }) => headers['x-request-id']);
    expect(numbers.length).toBeGreaterThanOrEqual(3);
    expect(new Set(numbers).size).toBe(numbers.length);
    for (const number of numbers) expect(number).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  });

  test.each(calls)('%s ends with its name when the answer is a web page', async (_, act) => {
    const { neon, server } = await scene([{ body: '<html>Log in</html>', headers: { 'content-type': 'text/html' } }]);
    const thrown = await thrownBy(() => act(neon));
    expect(thrown).toBeInstanceOf(ExplainedError);
    expect(String(thrown)).toMatch(/Neon API, \w+: the answer is not what the API documents/);
    expect(server.asked).toHaveLength(1);
  });

  test.each<[string, Answer]>([
    ['JSON that ends too early', { body: '{"projects": [' }],
    ['nothing', { body: '' }],
    ['null', { body: 'null' }],
    ['no projects', { body: {} }],
    ['a project without id', { body: { projects: [{ ...projectAnswer('p'), id: '' }] } }],
    ['a page that is no list', { body: { projects: { p: 1 } } }],
    ['no content', { status: 204, body: '' }],
  ])('does not take %s for an empty fleet', async (_, answer) => {
    const { neon } = await scene([answer]);
    expect(await thrownBy(() => neon.listProjects())).toMatchObject({
      message: expect.stringContaining('the answer is not what the API documents'),
      hint: expect.stringContaining('neon-api-url'),
    });
  });
});

describe('a call that failed', () => {
  test('says what Neon said, with the number of the request', async () => {
    const { neon } = await scene([
      { status: 404, body: { code: '', message: 'project not found', request_id: 'req-1' } },
    ]);
    expect(await thrownBy(() => neon.listBranches('p-1'))).toMatchObject({
      name: 'NeonApiError',
      operation: 'listProjectBranches',
      status: 404,
      code: 'HTTP 404',
      message: 'Neon API, listProjectBranches: HTTP 404: project not found (request req-1)',
    });
  });

  test('takes the number of the request from the header when the body is a proxy’s', async () => {
    const { neon } = await scene([{ status: 418, body: '<html>', headers: { 'x-request-id': 'req-2' } }]);
    expect(await thrownBy(() => neon.listProjects())).toMatchObject({
      message: 'Neon API, listProjects: HTTP 418 (request req-2)',
    });
  });

  test.each<[string, Answer]>([
    ['no answer', 'lost'],
    ['an answer without one', { status: 400, body: { message: 'no' } }],
    ['a web page', { body: '<html>' }],
  ])('names the number that we gave it when there is %s', async (_, answer) => {
    const { neon, server } = await scene([answer], { retryPolicy: { retries: 0, minDelayMs: 1, maxDelayMs: 1 } });
    const thrown = await thrownBy(() => neon.listProjects());
    expect(String(thrown)).toContain(`(request ${String(server.asked[0]?.headers['x-request-id'])})`);
  });

  test.each<[string, Answer, boolean]>([
    ['402', { status: 402, body: { message: 'pay' } }, true],
    ['a code', { status: 423, body: { code: 'COMPUTE_TIME_QUOTA_EXCEEDED', message: 'x' } }, true],
    ['words', { status: 423, body: { message: 'Your project has exceeded the data transfer quota.' } }, true],
    ['other words', { status: 422, body: { message: 'quota' } }, false],
    // About requests: these come again.
    ['words with 429', { status: 429, body: { message: 'you have exceeded your request quota' } }, false],
  ])('knows a used-up quota by %s: %#, and then does not try again', async (_, answer, quotaExceeded) => {
    const { neon, server } = await scene([answer]);
    expect(await thrownBy(() => neon.listBranches('p-1'))).toMatchObject({ quotaExceeded });
    if (quotaExceeded) expect(server.asked).toHaveLength(1);
  });

  test.each<[number, string, RegExp | undefined]>([
    [400, 'org_id is required', /neon-org-id/],
    [400, 'name is too long', undefined],
    [401, 'unauthorized', /neon-api-key/],
    [403, 'forbidden', /./],
    [404, 'not found', undefined],
    [500, 'oops', /neonstatus/],
  ])('with %d, %s, says what to do', async (status, message, hint) => {
    const { neon } = await scene([{ status, body: { code: '', message } }]);
    const thrown = await thrownBy(() => neon.createProject({ name: 'ACME' }));
    expect(thrown).toMatchObject({ hint: hint === undefined ? undefined : expect.stringMatching(hint) });
  });

  test('since nobody listens has the name of the system’s error', async () => {
    const { neon, server } = await scene([]);
    await server.close();
    servers.length = 0;
    expect(await thrownBy(() => neon.createProject({ name: 'ACME' }))).toMatchObject({
      code: 'ECONNREFUSED',
      message: expect.stringContaining('no answer'),
    });
  });

  test('since no answer came in time says so', async () => {
    const { neon, server } = await scene(['never'], { requestTimeoutMs: 300 });
    const thrown = await thrownBy(() => neon.createProject({ name: 'ACME' }));
    expect(thrown).toBeInstanceOf(NeonApiError);
    expect(String(thrown)).toMatch(/no answer \(timeout of 300ms exceeded\)/);
    expect(thrown).toMatchObject({ status: undefined });
    expect(server.asked).toHaveLength(1);
  });
});

describe('a call is repeated', () => {
  test.each([408, 423, 429, 500, 502, 503, 504].flatMap((status) => reads.map(([name]) => [status, name] as const)))(
    'after %d: %s',
    async (status, name) => {
      const { neon, server, retried } = await scene([{ status }, { body: ANSWERS[name] }]);
      await call(name)(neon);
      expect(server.asked).toHaveLength(2);
      expect(retried).toMatchObject([{ attempt: 1, why: `HTTP ${status}` }]);
    },
  );

  test.each([423, 429, 503])('after %d even if it makes something', async (status) => {
    const { neon, server } = await scene([{ status }, { status }, { body: CREATED }]);
    await neon.createProject({ name: 'ACME' });
    expect(server.asked.map(({ method }) => method)).toStrictEqual(['POST', 'POST', 'POST']);
  });

  test.each(reads)('after a lost answer: %s', async (name, act) => {
    const { neon, server, retried } = await scene(['lost', { body: ANSWERS[name] }]);
    await act(neon);
    expect(server.asked).toHaveLength(2);
    expect(retried).toMatchObject([{ why: 'no answer' }]);
  });

  test.each<[string, Answer]>([
    ['lost answer', 'lost'],
    ['timeout', 'never'],
    ['408', { status: 408 }],
    ['500', { status: 500 }],
    ['502', { status: 502 }],
    ['504', { status: 504 }],
  ])('never when it may have made something: %s', async (_, answer) => {
    const { neon, server } = await scene([answer], { requestTimeoutMs: 300 });
    await thrownBy(() => neon.createProject({ name: 'ACME' }));
    expect(server.asked).toHaveLength(1);
  });

  test.each([400, 401, 403, 404, 409, 412, 422, 501])('never after %d', async (status) => {
    const { neon, server } = await scene([{ status }]);
    expect(await thrownBy(() => neon.listProjects())).toMatchObject({ status });
    expect(server.asked).toHaveLength(1);
  });

  test('as often as the policy says, and then fails as the last attempt did', async () => {
    const { neon, server, retried } = await scene(
      [{ status: 423 }, { status: 423 }, { status: 423 }, { status: 503 }],
      {
        retryPolicy: { retries: 3, minDelayMs: 1, maxDelayMs: 1 },
      },
    );
    expect(await thrownBy(() => neon.listProjects())).toMatchObject({ status: 503 });
    expect(server.asked).toHaveLength(4);
    expect(retried.map(({ attempt }) => attempt)).toStrictEqual([1, 2, 3]);
  });
});

describe('Retry-After', () => {
  test('is kept to before the call is repeated', async () => {
    const { neon, slept } = await scene([
      { status: 429, headers: { 'retry-after': '7' } },
      { status: 503, headers: { 'Retry-After': '0' } },
      { body: { projects: [] } },
    ]);
    await neon.listProjects();
    expect(slept).toStrictEqual([7_000]);
  });

  test('is not needed', async () => {
    const { neon, slept } = await scene([{ status: 429 }, { body: { projects: [] } }]);
    await neon.listProjects();
    expect(slept).toStrictEqual([]);
  });

  test('of more than two minutes is an outage: nobody waits for it', async () => {
    const { neon, server, slept } = await scene([{ status: 429, headers: { 'retry-after': '3600' } }]);
    expect(await thrownBy(() => neon.listProjects())).toMatchObject({ status: 429 });
    expect(server.asked).toHaveLength(1);
    expect(slept).toStrictEqual([]);
  });

  test('after the last attempt is not waited for', async () => {
    const { neon, slept } = await scene([{ status: 429, headers: { 'retry-after': '5' } }], {
      retryPolicy: { retries: 1, minDelayMs: 1, maxDelayMs: 1 },
    });
    await thrownBy(() => neon.listProjects());
    expect(slept).toStrictEqual([5_000]);
  });
});

describe('after 429', () => {
  test('all calls wait, not only the one that was refused', async () => {
    const clock = new VirtualClock();
    let refused: () => void = () => undefined;
    const wasRefused = new Promise<void>((resolve) => {
      refused = resolve;
    });
    const { neon, server } = await scene(
      ({ path }, index) =>
        index === 0
          ? { status: 429, headers: { 'retry-after': '9' } }
          : { body: path.endsWith('uri') ? { uri: URI } : { projects: [] } },
      { clock, onRetry: () => refused() },
    );
    const first = neon.listProjects();
    await wasRefused;
    const state = { done: false };
    const both = Promise.all([first, call('connectionUri')(neon)]).finally(() => {
      state.done = true;
    });
    await clock.advance(8_900);
    // A request that had been let out would be there before this one.
    await fetch(`${server.url}/probe`);
    expect(server.asked.map(({ path }) => path)).toStrictEqual(['/projects', '/probe']);
    while (!state.done) {
      await clock.advance(100);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await both;
    expect(server.asked).toHaveLength(4);
  });

  test('it is told at once, then once a minute with the number, and not again when it is over', async () => {
    const told: number[] = [];
    let now = 0;
    const clock = { ...hurriedClock(), now: () => now };
    let status = 429;
    const { neon, retried } = await scene(() => (status === 429 ? { status } : { body: { projects: [] } }), {
      clock,
      onThrottled: (times) => told.push(times),
      retryPolicy: { retries: 0, minDelayMs: 1, maxDelayMs: 1 },
      ratePerMinute: 1e9,
      burstPerSecond: 1e9,
    });
    const ask = async (at: number) => {
      now = at;
      await neon.listProjects().catch(() => undefined);
    };
    await ask(0);
    expect(told).toStrictEqual([1]);
    await ask(10_000);
    await ask(20_000);
    await ask(59_999);
    expect(told).toStrictEqual([1]);
    await ask(60_000);
    expect(told).toStrictEqual([1, 3]);
    await ask(90_000);
    status = 200;
    await ask(110_000);
    expect(told).toStrictEqual([1, 3]);
    await ask(130_000);
    expect(told).toStrictEqual([1, 3, 2]);
    await ask(600_000);
    expect(told).toStrictEqual([1, 3, 2]);
    expect(retried).toStrictEqual([]);
  });
});

describe('the stop', () => {
  const stopped = new StoppedError('deadline');

  test('before a call: nothing is sent', async () => {
    const { neon, server } = await scene([{ body: { projects: [] } }], { signal: AbortSignal.abort(stopped) });
    expect(await thrownBy(() => neon.listProjects())).toBe(stopped);
    expect(server.asked).toHaveLength(0);
  });

  test.each(calls)('in the middle of %s ends it with the reason', async (_, act) => {
    const stop = new AbortController();
    const { neon, server } = await scene(
      () => {
        setTimeout(() => stop.abort(stopped), 5);
        return 'never';
      },
      { signal: stop.signal },
    );
    expect(await thrownBy(() => act(neon))).toBe(stopped);
    expect(server.asked).toHaveLength(1);
  });

  test('in a wait for Retry-After ends it with the reason', async () => {
    const stop = new AbortController();
    const { neon, server } = await scene([{ status: 429, headers: { 'retry-after': '60' } }], {
      signal: stop.signal,
      clock: systemClock,
      onRetry: () => setTimeout(() => stop.abort(stopped), 5),
    });
    const started = performance.now();
    expect(await thrownBy(() => neon.listProjects())).toBe(stopped);
    expect(performance.now() - started).toBeLessThan(5_000);
    expect(server.asked).toHaveLength(1);
  });

  test('in a wait for a turn ends it with the reason, and nothing more is sent', async () => {
    const stop = new AbortController();
    const { neon, server } = await scene([{ body: { projects: [] } }], {
      signal: stop.signal,
      clock: systemClock,
      ratePerMinute: 1,
    });
    await neon.listProjects();
    const waiting = thrownBy(() => neon.listProjects());
    stop.abort(stopped);
    expect(await waiting).toBe(stopped);
    expect(server.asked).toHaveLength(1);
  });

  test('between two attempts ends it with the reason', async () => {
    const stop = new AbortController();
    const { neon, server } = await scene([{ status: 503 }], {
      signal: stop.signal,
      retryPolicy: { retries: 4, minDelayMs: 60_000, maxDelayMs: 60_000 },
      clock: systemClock,
      random: () => 1,
      onRetry: () => setTimeout(() => stop.abort(stopped), 5),
    });
    expect(await thrownBy(() => neon.listProjects())).toBe(stopped);
    expect(server.asked).toHaveLength(1);
  });
});

test('a redirect is not followed: the key goes nowhere else', async () => {
  const elsewhere = await scriptedServer(() => ({ body: { projects: [] } }));
  servers.push(elsewhere);
  const { neon } = await scene([{ status: 307, headers: { location: `${elsewhere.url}/projects` } }]);
  expect(await thrownBy(() => neon.listProjects())).toMatchObject({ status: 307 });
  expect(elsewhere.asked).toStrictEqual([]);
});

describe('no secret is in anything that is thrown:', () => {
  const hostileBody = { code: 'x', message: `the key ${API_KEY} and ${URI} are wrong`, request_id: 'r' };

  test.each<[string, Answer]>([
    ['401', { status: 401, body: hostileBody }],
    ['500', { status: 500, body: hostileBody }],
    ['a lost answer', 'lost'],
    ['a timeout', 'never'],
    ['a web page', { body: `<html>${URI} ${API_KEY}` }],
    ['an answer of another form', { body: { uri: [URI], projects: URI, project: { [URI]: URI }, key: API_KEY } }],
    ['a redirect', { status: 302, headers: { location: `http://x/?key=${API_KEY}` } }],
  ])('%s', async (_, answer) => {
    const { neon } = await scene([answer], {
      requestTimeoutMs: 100,
      retryPolicy: { retries: 0, minDelayMs: 1, maxDelayMs: 1 },
    });
    for (const [, act] of calls) {
      const thrown = await thrownBy(() => act(neon));
      expect(thrown).toBeInstanceOf(ExplainedError);
      const everything =
        inspect(thrown, { depth: 20, showHidden: true }) + JSON.stringify(thrown) + String((thrown as Error).stack);
      expect(everything).not.toContain('s3cret');
      expect(everything).not.toContain('Bearer');
    }
  });
});

test('a key with a line break in it makes no header of its own', async () => {
  const { neon, server } = await scene([{ body: { projects: [] } }], { apiKey: 'napi_key\r\nx-evil: 1' });
  await neon.listProjects().catch(() => undefined);
  expect(server.asked.some(({ headers }) => 'x-evil' in headers)).toBe(false);
});
