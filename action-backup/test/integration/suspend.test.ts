import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Tenant } from '@neon-fleet/shared/fleet';
import { createApiClient } from '@neondatabase/api-client';
import pg from 'pg';

import { backUpTenant, type BackupSurroundings } from '../../src/tenant/back-up-tenant.js';
import { WokenComputes } from '../../src/tenant/suspend.js';
import { BackupFleet } from '../support/backup-fleet.js';

let fleet: BackupFleet;
let notes: string[];
beforeAll(async () => {
  fleet = await BackupFleet.start();
});
afterAll(async () => {
  await fleet[Symbol.asyncDispose]();
});
beforeEach(() => {
  notes = [];
});
afterEach(() => {
  fleet.local.faults.clear();
});

const api = () => createApiClient({ apiKey: fleet.local.apiKey, baseURL: fleet.local.apiUrl });

async function endpointOf({ projectId }: Tenant): Promise<{ id: string; state: string }> {
  const { data } = await api().listProjectEndpoints(projectId);
  const [endpoint] = data.endpoints;
  return { id: endpoint?.id ?? '', state: endpoint?.current_state ?? '' };
}

async function sleepingTenant(name: string): Promise<Tenant> {
  const tenant = await fleet.tenant(name, 'CREATE TABLE notes AS SELECT n FROM generate_series(1, 10) n');
  await api().suspendProjectEndpoint(tenant.projectId, (await endpointOf(tenant)).id);
  expect((await endpointOf(tenant)).state).toBe('idle');
  return tenant;
}

async function backUp(tenant: Tenant, overrides: Partial<BackupSurroundings> = {}) {
  const surroundings = { ...fleet.surroundings(), woken: new WokenComputes(fleet.neon), ...overrides };
  const work = { signal: new AbortController().signal, note: (line: string) => void notes.push(line) };
  return backUpTenant(surroundings, tenant, work);
}

const suspendsSent = () =>
  fleet.local.requests().filter(({ method, path }) => method === 'POST' && path.endsWith('/suspend')).length;

/** A session of an application, through the tenant's own door. */
async function application(tenant: Tenant): Promise<pg.Client> {
  const uri = new URL(await fleet.uriOf(tenant.projectId));
  uri.search = '';
  const ssl = { ca: [...(fleet.authorities ?? [])], servername: uri.hostname };
  const client = new pg.Client({ connectionString: uri.href, ssl });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

describe('suspend-after', () => {
  test('puts a compute to sleep that the backup has woken', async () => {
    const tenant = await sleepingTenant('asleep');
    await expect(backUp(tenant)).resolves.toMatchObject({ status: 'succeeded' });
    expect((await endpointOf(tenant)).state).toBe('idle');
    expect(notes.join()).toContain('which this run had woken');
  });

  test('leaves one alone that ran before', async () => {
    const tenant = await fleet.tenant('awake', 'CREATE TABLE notes (id int)');
    expect((await endpointOf(tenant)).state).toBe('active');
    const before = suspendsSent();
    await expect(backUp(tenant)).resolves.toMatchObject({ status: 'succeeded' });
    expect((await endpointOf(tenant)).state).toBe('active');
    expect(suspendsSent()).toBe(before);
  });

  test('leaves one alone that somebody has connected to since', async () => {
    const tenant = await sleepingTenant('joined');
    const before = suspendsSent();
    let client: pg.Client | undefined;
    const store = {
      ...fleet.store,
      put: async (...call: Parameters<typeof fleet.store.put>) => {
        client ??= await application(tenant);
        await fleet.store.put(...call);
      },
    };
    await expect(backUp(tenant, { store })).resolves.toMatchObject({ status: 'succeeded' });
    expect(suspendsSent()).toBe(before);
    expect((await client?.query('SELECT 1 AS one'))?.rows).toEqual([{ one: 1 }]);
    await client?.end();
  });

  test('puts it to sleep as well when the backup failed', async () => {
    const tenant = await sleepingTenant('failed');
    const clients = { forServer: () => Promise.reject(new Error('no pg_dump')) };
    await expect(backUp(tenant, { clients })).rejects.toThrow('no pg_dump');
    expect((await endpointOf(tenant)).state).toBe('idle');
  });

  test('is sent once when its answer is lost', async () => {
    const tenant = await sleepingTenant('lost');
    fleet.local.faults.set({ kind: 'lost-answer', path: 'suspendProjectEndpoint', times: 1 });
    const before = suspendsSent();
    await expect(backUp(tenant)).resolves.toMatchObject({ status: 'succeeded' });
    expect(suspendsSent()).toBe(before + 1);
    expect((await endpointOf(tenant)).state).toBe('idle');
    expect(notes.join()).toContain('which this run had woken');
  });

  test.each<[string, string]>([
    ['looking at the compute', 'listProjectEndpoints'],
    ['suspending it', 'suspendProjectEndpoint'],
  ])('is no failure of the backup when %s is refused', async (_, operation) => {
    const tenant = await sleepingTenant(`refused ${operation}`);
    fleet.local.faults.set({ kind: 'status', status: 403, path: operation });
    await expect(backUp(tenant)).resolves.toMatchObject({ status: 'succeeded' });
    expect(notes.join()).toMatch(/not suspended: .*HTTP 403|could not be suspended: .*HTTP 403/);
    fleet.local.faults.clear();
    expect((await endpointOf(tenant)).state).toBe('active');
  });
});
