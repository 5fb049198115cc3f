import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { ProjectListItem } from '@neondatabase/api-client';
import { clientOf, createProject, failureOf, query, started, type Started } from './support.js';

describe('the API, asked by the official client', () => {
  let s: Started;
  beforeAll(async () => {
    s = await started({ projects: 900 });
  });
  afterAll(async () => {
    await s.neon.stop();
    expect(s.lines.filter((line) => line.includes('BUG'))).toEqual([]);
  });

  async function listAll(limit: number, search?: string) {
    const projects: ProjectListItem[] = [];
    const unavailable: string[] = [];
    const sizes: number[] = [];
    let cursor: string | undefined;
    do {
      const { data } = await s.api.listProjects({
        limit,
        ...(cursor === undefined ? {} : { cursor }),
        ...(search === undefined ? {} : { search }),
      });
      projects.push(...data.projects);
      unavailable.push(...(data.unavailable_project_ids ?? []));
      sizes.push(data.projects.length);
      cursor = data.pagination?.cursor;
    } while (cursor !== undefined);
    return { projects, unavailable, sizes };
  }

  test('lists all projects page by page, ten at a time unless asked otherwise', async () => {
    const { data } = await s.api.listProjects({});
    expect(data.projects).toHaveLength(10);
    const { projects, sizes } = await listAll(400, 'tenant-');
    expect(projects.map(({ name }) => name)).toEqual(
      Array.from({ length: 900 }, (_, index) => `tenant-${String(index + 1).padStart(4, '0')}`),
    );
    expect(sizes).toEqual([400, 400, 100, 0]);
  });

  test('leaves out projects that are unavailable, and names them: a short page is not the last one', async () => {
    s.neon.faults.set({ kind: 'unavailable-projects', ids: ['tenant-0001', 'tenant-0900'] });
    const { projects, unavailable, sizes } = await listAll(400, 'tenant-');
    s.neon.faults.clear();
    expect(projects).toHaveLength(898);
    expect(unavailable).toHaveLength(2);
    expect(sizes).toEqual([399, 400, 99, 0]);
  });

  test('refuses a wrong key, and asks for what is missing', async () => {
    expect(await failureOf(clientOf(s.neon, 'wrong').listProjects({}))).toMatchObject({ status: 401 });
    expect(await failureOf(s.api.listProjects({ limit: 401 }))).toMatchObject({
      status: 400,
      message: expect.stringContaining('limit'),
    });
    expect(await failureOf(s.api.createProject({} as never))).toMatchObject({
      status: 400,
      message: expect.stringContaining('project'),
    });
  });

  test('creates a project as it is asked to', async () => {
    const quota = { compute_time_seconds: 3600, logical_size_bytes: 1_000_000 };
    const { data } = await s.api.createProject({
      project: {
        name: 'Payroll',
        region_id: 'aws-eu-central-1',
        pg_version: 16,
        history_retention_seconds: 3600,
        settings: { quota },
        default_endpoint_settings: { autoscaling_limit_min_cu: 0.5, autoscaling_limit_max_cu: 4 },
        branch: { name: 'production', database_name: 'app', role_name: 'app_owner' },
        org_id: s.neon.orgId,
      },
    });
    expect(data.project).toMatchObject({
      name: 'Payroll',
      region_id: 'aws-eu-central-1',
      pg_version: 16,
      settings: { quota },
    });
    expect(data.branch).toMatchObject({ name: 'production', default: true });
    expect(data.databases).toMatchObject([{ name: 'app', owner_name: 'app_owner' }]);
    expect(data.endpoints).toMatchObject([{ autoscaling_limit_min_cu: 0.5, autoscaling_limit_max_cu: 4 }]);
    expect(data.operations.map(({ status }) => status)).toEqual(['scheduling', 'scheduling']);
    expect(data.connection_uris[0]?.connection_uri).toMatch(
      /^postgresql:\/\/app_owner:npg_\w+@localhost:\d+\/app\?sslmode=require&channel_binding=require$/,
    );
    const again = await s.api.createProject({ project: { name: 'Payroll' } });
    expect(again.data.project.id).not.toBe(data.project.id);
  });

  test('does not know every region', async () => {
    const failure = await failureOf(s.api.createProject({ project: { region_id: 'aws-mars-1' } }));
    expect(failure).toMatchObject({ status: 400, message: expect.stringContaining('aws-mars-1') });
  });

  test('tells what a fleet is planned by: history, last activity, network settings', async () => {
    const { id, uri } = await createProject(s.api, 'planned');
    const listed = async () => {
      const { data } = await s.api.listProjects({ search: 'planned' });
      return data.projects.find((project) => project.id === id);
    };
    expect(await listed()).toMatchObject({ history_retention_seconds: 86_400 });
    expect(await listed()).not.toHaveProperty('compute_last_active_at');
    const before = Date.now();
    await query(s.neon, uri, 'select 1');
    const settings = { allowed_ips: { ips: ['203.0.113.7'] }, block_public_connections: true };
    await s.api.updateProject(id, { project: { history_retention_seconds: 3_600, settings } });
    const project = await listed();
    expect(project).toMatchObject({ history_retention_seconds: 3_600, settings });
    expect(Date.parse(project?.compute_last_active_at ?? '')).toBeGreaterThanOrEqual(before);
  });

  test('takes operations through their statuses, one after the other', async () => {
    const { id, created } = await createProject(s.api);
    const operationId = created.operations[0]?.id ?? '';
    const { data } = await s.api.getProjectOperation(id, operationId);
    expect(data.operation).toMatchObject({ status: 'finished', action: 'create_timeline', project_id: id });
    s.neon.faults.set({ kind: 'operation-fails', projectId: id, times: 1 });
    await s.api.updateProject(id, { project: { settings: { quota: {} } } });
    s.neon.faults.clear();
    let status = 'running';
    while (['scheduling', 'running'].includes(status)) {
      status = (await s.api.listProjectOperations({ projectId: id })).data.operations[0]?.status ?? '';
    }
    expect(status).toBe('failed');
  });

  test('forgets a deleted project softly', async () => {
    const { id } = await createProject(s.api, 'gone');
    await s.api.deleteProject(id);
    expect(await failureOf(s.api.getProject(id))).toMatchObject({ status: 404 });
    expect((await s.api.listProjects({ recoverable: true })).data.projects.map((project) => project.id)).toContain(id);
    await s.api.recoverProject(id);
    await expect(s.api.getProject(id)).resolves.toMatchObject({ status: 200 });
  });

  test('tells who is asking and where things can be', async () => {
    expect((await s.api.getAuthDetails()).data).toMatchObject({ auth_method: 'api_key_org', account_id: s.neon.orgId });
    expect((await s.api.getActiveRegions({})).data.regions).toHaveLength(8);
    expect((await s.api.getCurrentUserOrganizations()).data.organizations).toMatchObject([{ id: s.neon.orgId }]);
    expect((await s.api.getOrganization(s.neon.orgId)).data.id).toBe(s.neon.orgId);
    expect((await s.api.getCurrentUserInfo()).data.plan).toBe('scale');
  });

  test('gives connection URIs for what exists only', async () => {
    const { id, uri } = await createProject(s.api);
    const ask = (database_name: string, role_name: string, pooled = false) =>
      s.api.getConnectionUri({ projectId: id, database_name, role_name, pooled });
    expect((await ask('neondb', 'neondb_owner')).data.uri).toBe(uri);
    expect((await ask('neondb', 'neondb_owner', true)).data.uri).not.toBe(uri);
    expect(await failureOf(ask('other', 'neondb_owner'))).toMatchObject({ status: 404, code: 'DATABASE_NOT_FOUND' });
    expect(await failureOf(ask('neondb', 'other'))).toMatchObject({ status: 404, code: 'ROLE_NOT_FOUND' });
  });

  test('names what it does not model', async () => {
    const { id } = await createProject(s.api);
    const failure = await failureOf(s.api.listSnapshots(id));
    expect(failure).toMatchObject({ status: 501, message: expect.stringContaining('listSnapshots') });
  });

  test('repeats the id of a request', async () => {
    const answer = await s.api.instance.get('/projects', { headers: { 'X-Request-ID': 'mine-1' } });
    expect(answer.headers['x-request-id']).toBe('mine-1');
    const requests = s.neon.requests();
    expect(requests.at(-1)).toMatchObject({ method: 'GET', path: '/projects', status: 200 });
  });
});

describe('while the operations of a project run, here for as long as one looks,', () => {
  let slow: Started;
  let created: Awaited<ReturnType<Started['api']['createProject']>>['data'];
  beforeAll(async () => {
    slow = await started({ operationMs: 600_000 });
    created = (await slow.api.createProject({ project: { name: 'busy' } })).data;
  });
  afterAll(() => slow.neon.stop());

  test('it cannot be changed, and others go on', async () => {
    const { id } = created.project;
    expect(await failureOf(slow.api.updateProject(id, { project: { name: 'renamed' } }))).toMatchObject({
      status: 423,
    });
    await expect(slow.api.createProject({ project: { name: 'other' } })).resolves.toMatchObject({ status: 201 });
    await expect(slow.api.getProject(id)).resolves.toMatchObject({ status: 200 });
  });

  test('its branch says that it is being made', async () => {
    expect(created.branch.current_state).toBe('init');
    const { data } = await slow.api.listProjectBranches({ projectId: created.project.id });
    expect(data.branches).toMatchObject([{ id: created.branch.id, current_state: 'init' }]);
  });
});

test('ten thousand projects cost little', async () => {
  const s = await started({ projects: 10_000 });
  try {
    const startedAt = performance.now();
    let pages = 0;
    for (let cursor: string | undefined, more = true; more; pages++) {
      const { data } = await s.api.listProjects({ limit: 400, ...(cursor === undefined ? {} : { cursor }) });
      cursor = data.pagination?.cursor;
      more = cursor !== undefined;
    }
    expect(pages).toBe(26);
    expect(performance.now() - startedAt).toBeLessThan(5_000);
  } finally {
    await s.neon.stop();
  }
});
