import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { EndpointType } from '@neondatabase/api-client';
import pg from 'pg';
import { createProject, failureOf, query, settingsFor, settled, started, type Started } from './support.js';

describe('branches', () => {
  let s: Started;
  beforeAll(async () => {
    s = await started({ restorePoints: true });
  });
  afterAll(async () => {
    await s.neon.stop();
    expect(s.lines.filter((line) => line.includes('BUG'))).toEqual([]);
  });

  const ids = (uri: string) => query(s.neon, uri, 'select id from t order by id');

  async function projectWithRow(name: string) {
    const project = await createProject(s.api, name);
    await query(s.neon, project.uri, 'create table t (id int primary key)', 'insert into t values (1)');
    return project;
  }

  async function branchOf(projectId: string, name: string, wanted = {}) {
    const { data } = await s.api.createProjectBranch(projectId, {
      branch: { name, ...wanted },
      endpoints: [{ type: EndpointType.ReadWrite }],
    });
    await settled(s.api, projectId);
    return { id: data.branch.id, uri: data.connection_uris?.[0]?.connection_uri ?? '', created: data };
  }

  test('a branch is a copy that goes its own way', async () => {
    const project = await projectWithRow('copy');
    const branch = await branchOf(project.id, 'dev');
    expect(branch.created.branch).toMatchObject({ parent_id: project.branchId, name: 'dev', default: false });
    await query(s.neon, branch.uri, 'insert into t values (2)');
    expect(await ids(branch.uri)).toEqual([{ id: 1 }, { id: 2 }]);
    expect(await ids(project.uri)).toEqual([{ id: 1 }]);
  });

  test('copying disturbs nobody who is connected to the source', async () => {
    const project = await projectWithRow('connected');
    const client = new pg.Client(settingsFor(s.neon, project.uri));
    await client.connect();
    const branch = await branchOf(project.id, 'dev');
    expect(await ids(branch.uri)).toEqual([{ id: 1 }]);
    await query(s.neon, branch.uri, 'insert into t values (2)');
    expect((await client.query('select id from t')).rowCount).toBe(1);
    await client.end();
  });

  test('a branch of what nobody has used costs nothing and works', async () => {
    const project = await createProject(s.api, 'unused');
    const branch = await branchOf(project.id, 'dev');
    expect(
      await query(s.neon, branch.uri, 'select count(*)::int as n from pg_tables where schemaname = $$public$$'),
    ).toEqual([{ n: 0 }]);
  });

  test('restoring from the parent drops the sessions and what the branch had of its own', async () => {
    const project = await projectWithRow('reset');
    const branch = await branchOf(project.id, 'dev');
    await query(s.neon, branch.uri, 'insert into t values (2)');
    await query(s.neon, project.uri, 'insert into t values (3)');
    const client = new pg.Client(settingsFor(s.neon, branch.uri));
    const dropped = new Promise((resolve) => client.on('error', resolve));
    await client.connect();
    await s.api.restoreProjectBranch(project.id, branch.id, { source_branch_id: project.branchId });
    await dropped;
    await settled(s.api, project.id);
    expect(await ids(branch.uri)).toEqual([{ id: 1 }, { id: 3 }]);
  });

  test('a branch goes back to a position in the log that a client has read', async () => {
    const project = await projectWithRow('back');
    const [row] = await query(s.neon, project.uri, 'select pg_current_wal_insert_lsn()::text as lsn');
    await query(s.neon, project.uri, 'drop table t');
    const restored = await s.api.restoreProjectBranch(project.id, project.branchId, {
      source_branch_id: project.branchId,
      source_lsn: String(row?.['lsn']),
      preserve_under_name: 'before-restore',
    });
    expect(restored.data.branch.id).toBe(project.branchId);
    await settled(s.api, project.id);
    expect(await ids(project.uri)).toEqual([{ id: 1 }]);
    const { data } = await s.api.listProjectBranches({ projectId: project.id });
    expect(data.branches.map(({ name }) => name).sort()).toEqual(['before-restore', 'main']);
  });

  test('a branch goes back to a state that was recorded', async () => {
    const project = await projectWithRow('recorded');
    const state = await s.neon.recordState(project.id);
    await query(s.neon, project.uri, 'insert into t values (2)');
    const request = { source_branch_id: project.branchId, source_timestamp: state.timestamp };
    expect(await failureOf(s.api.restoreProjectBranch(project.id, project.branchId, request))).toMatchObject({
      status: 400,
      message: expect.stringContaining('preserve_under_name'),
    });
    await s.api.restoreProjectBranch(project.id, project.branchId, { ...request, preserve_under_name: 'old' });
    await settled(s.api, project.id);
    expect(await ids(project.uri)).toEqual([{ id: 1 }]);
  });

  test('what was never recorded cannot be restored, and the answer says so', async () => {
    const project = await projectWithRow('unrecorded');
    const failure = await failureOf(
      s.api.restoreProjectBranch(project.id, project.branchId, {
        source_branch_id: project.branchId,
        source_timestamp: '2020-01-01T00:00:00Z',
        preserve_under_name: 'old',
      }),
    );
    expect(failure).toMatchObject({ status: 422, message: expect.stringContaining('no recorded state') });
    expect(await ids(project.uri)).toEqual([{ id: 1 }]);
  });

  test('a restore moves the children to the branch that keeps the old state', async () => {
    const project = await projectWithRow('children');
    const child = await branchOf(project.id, 'child');
    const refused = s.api.restoreProjectBranch(project.id, project.branchId, { source_branch_id: child.id });
    expect(await failureOf(refused)).toMatchObject({ status: 400, message: expect.stringContaining('children') });
    await s.api.restoreProjectBranch(project.id, project.branchId, {
      source_branch_id: child.id,
      preserve_under_name: 'kept',
    });
    const { data } = await s.api.listProjectBranches({ projectId: project.id });
    const kept = data.branches.find(({ name }) => name === 'kept');
    expect(data.branches.find(({ id }) => id === child.id)?.parent_id).toBe(kept?.id);
  });

  test('branches are renamed, protected and deleted', async () => {
    const project = await projectWithRow('lifecycle');
    const branch = await branchOf(project.id, 'dev', { expires_at: '2099-01-01T00:00:00Z' });
    expect(branch.created.branch.expires_at).toBe('2099-01-01T00:00:00.000Z');
    expect(await failureOf(s.api.createProjectBranch(project.id, { branch: { name: 'dev' } }))).toMatchObject({
      status: 409,
    });
    await s.api.updateProjectBranch(project.id, branch.id, { branch: { protected: true, name: 'kept' } });
    expect(await failureOf(s.api.deleteProjectBranch({ projectId: project.id, branchId: branch.id }))).toMatchObject({
      status: 422,
    });
    await s.api.updateProjectBranch(project.id, branch.id, { branch: { protected: false } });
    await s.api.deleteProjectBranch({ projectId: project.id, branchId: branch.id });
    await settled(s.api, project.id);
    expect(await failureOf(s.api.getProjectBranch(project.id, branch.id))).toMatchObject({ status: 404 });
    expect(
      await failureOf(s.api.deleteProjectBranch({ projectId: project.id, branchId: project.branchId })),
    ).toMatchObject({ status: 422 });
    expect((await s.api.getProjectBranch(project.id, project.branchId)).data.branch.logical_size).toBeGreaterThan(
      1_000_000,
    );
    expect((await s.api.countProjectBranches({ projectId: project.id })).data.count).toBe(1);
  });

  test('databases and roles of a branch come and go', async () => {
    const project = await projectWithRow('more');
    const { id, branchId } = project;
    const role = await s.api.createProjectBranchRole(id, branchId, { role: { name: 'app' } });
    await settled(s.api, id);
    await s.api.createProjectBranchDatabase(id, branchId, { database: { name: 'second', owner_name: 'app' } });
    await settled(s.api, id);
    expect((await s.api.listProjectBranchDatabases(id, branchId)).data.databases.map(({ name }) => name)).toEqual([
      'neondb',
      'second',
    ]);
    expect((await s.api.listProjectBranchRoles(id, branchId)).data.roles.map(({ name }) => name)).toEqual([
      'neondb_owner',
      'app',
    ]);
    const { data } = await s.api.getConnectionUri({ projectId: id, database_name: 'second', role_name: 'app' });
    expect(data.uri).toContain(role.data.role.password);
    await query(s.neon, data.uri, 'create table of_app (id int)');
    const guest = await s.api.getConnectionUri({ projectId: id, database_name: 'neondb', role_name: 'app' });
    expect(await query(s.neon, guest.data.uri, 'select 1 as one')).toEqual([{ one: 1 }]);
    expect(await failureOf(s.api.deleteProjectBranchRole(id, branchId, 'app'))).toMatchObject({ status: 422 });
    await s.api.deleteProjectBranchDatabase(id, branchId, 'second');
    await settled(s.api, id);
    await s.api.deleteProjectBranchRole(id, branchId, 'app');
    await settled(s.api, id);
    expect((await s.api.listProjectBranchRoles(id, branchId)).data.roles.map(({ name }) => name)).toEqual([
      'neondb_owner',
    ]);
  });
});
