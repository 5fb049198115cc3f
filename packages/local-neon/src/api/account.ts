import { notFound } from './errors.js';
import { regions } from './regions.js';
import { ok, type Handlers, type World } from './world.js';

const BORN = '2026-01-01T00:00:00Z';

const organization = (world: World) => ({
  id: world.orgId,
  name: 'Local organization',
  handle: 'local',
  plan: 'scale',
  created_at: BORN,
  updated_at: BORN,
  managed_by: 'console',
});

/** Who is asking: the key is that of an organisation. */
export const accountHandlers: Handlers = {
  getActiveRegions: () => ok({ regions }),
  getAuthDetails: (world) => ok({ account_id: world.orgId, auth_method: 'api_key_org' }),
  getCurrentUserOrganizations: (world) => ok({ organizations: [organization(world)] }),
  getOrganization: (world, call) => {
    if (call.parameters['org_id'] !== world.orgId) throw notFound('ORGANIZATION_NOT_FOUND', 'organization');
    return ok(organization(world));
  },
  getCurrentUserInfo: () =>
    ok({
      active_seconds_limit: 0,
      id: '00000000-0000-4000-8000-000000000000',
      email: 'local@example.com',
      login: 'local',
      name: 'Local',
      last_name: 'User',
      image: '',
      projects_limit: 30_000,
      branches_limit: 25,
      max_autoscaling_limit: 16,
      auth_accounts: [],
      plan: 'scale',
    }),
  listSharedProjects: () => ok({ projects: [] }),
};
