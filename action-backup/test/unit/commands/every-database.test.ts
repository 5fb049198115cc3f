import { expect, test } from '@jest/globals';
import { tenantOf } from '@neon-fleet/shared/fleet';

import { expandDatabases } from '../../../src/commands/every-database.js';

const neon = {
  listBranches: (projectId: string) =>
    projectId === 'broken'
      ? Promise.reject(new Error('Neon API, listProjectBranches: 500'))
      : Promise.resolve([
          { id: 'br-1', name: 'main', isDefault: true },
          { id: 'br-2', name: 'dev', isDefault: false },
        ]),
  listDatabases: (_: string, branchId: string) =>
    Promise.resolve(
      branchId === 'br-1'
        ? [
            { name: 'neondb', owner: 'neondb_owner' },
            { name: 'billing', owner: 'billing_owner' },
          ]
        : [{ name: 'dev', owner: 'neondb_owner' }],
    ),
};
const tenant = (projectId: string, location = {}) =>
  tenantOf({ projectId, name: projectId, regionId: '', pgVersion: 17, createdAt: '' }, location);

test('every database becomes a tenant of its own with its owner, unless a role was named', async () => {
  const { tenants, failed } = await expandDatabases(neon, [tenant('a', { database: '*' })], 2);
  expect(tenants.map(({ database, role }) => [database, role])).toEqual([
    ['neondb', 'neondb_owner'],
    ['billing', 'billing_owner'],
  ]);
  expect(failed).toEqual([]);
  const named = await expandDatabases(neon, [tenant('a', { database: '*', role: 'dumper', branch: 'dev' })], 2);
  expect(named.tenants.map(({ database, role }) => [database, role])).toEqual([['dev', 'dumper']]);
});

test('a project whose databases cannot be listed fails alone, by name', async () => {
  const { tenants, failed } = await expandDatabases(neon, [tenant('broken'), tenant('a')], 2);
  expect(tenants).toHaveLength(2);
  expect(failed).toMatchObject([{ projectId: 'broken', status: 'failed', detail: expect.stringContaining('500') }]);
});
