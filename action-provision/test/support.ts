import type { DesiredTenant, TenantSettings } from '@neon-fleet/shared/fleet';
import type { ProjectState } from '@neon-fleet/shared/neon';

/** A project as the list gives it. */
export function state(name: string, projectId: string, overrides: Partial<ProjectState> = {}): ProjectState {
  return {
    projectId,
    name,
    regionId: 'aws-us-east-1',
    pgVersion: 17,
    createdAt: '2026-01-01T00:00:00Z',
    defaultEndpointSettings: {
      autoscaling_limit_min_cu: 0.25,
      autoscaling_limit_max_cu: 2,
      suspend_timeout_seconds: 0,
    },
    settings: {},
    historyRetentionSeconds: 86_400,
    ...overrides,
  };
}

/** A tenant of the fleet file. */
export function desired(
  key: string,
  overrides: Partial<DesiredTenant> = {},
  settings: TenantSettings = {},
): DesiredTenant {
  return { key, name: key.toUpperCase(), settings, ...overrides };
}
