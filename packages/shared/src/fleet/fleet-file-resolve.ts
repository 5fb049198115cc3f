import { ExplainedError } from '../errors/index.js';
import type { FleetFile } from './fleet-file.js';
import type { FleetGroup, FleetTenant, GroupMatch, TenantSettings } from './fleet-file-schema.js';
import { selectTenants } from './selection.js';

/** A tenant of the fleet file with everything that defaults and groups give it. */
export interface DesiredTenant {
  readonly key: string;
  readonly name: string;
  readonly projectId?: string;
  readonly settings: TenantSettings;
}

/**
 * Resolves every tenant of the file, in its order: defaults, then each group that matches, then the tenant's own.
 *
 * @throws ExplainedError when what comes together contradicts itself.
 */
export function resolveFleet(file: FleetFile): DesiredTenant[] {
  const chosen = file.groups.map((group) => membersOf(group, file));
  return file.tenants.map((tenant, index) => {
    const groups = file.groups.filter((_, at) => chosen[at]?.has(index) === true);
    const { key, name = key, 'project-id': projectId, ...own } = tenant;
    const settings = [...groups.map(withoutMatch), own].reduce<TenantSettings>(merge, file.defaults);
    assertLimitsInOrder(key, settings);
    return { key, name, ...(projectId === undefined ? {} : { projectId }), settings };
  });
}

function assertLimitsInOrder(key: string, { autoscaling: { min, max } = {} }: TenantSettings): void {
  if (min === undefined || max === undefined || min <= max) return;
  throw new ExplainedError({
    message: `the tenant ${JSON.stringify(key)} gets autoscaling limits from ${min} to ${max}, put together of defaults, groups and its own`,
    hint: 'Set both min and max where one of them is changed.',
  });
}

function withoutMatch(group: FleetGroup): TenantSettings {
  const settings: Partial<FleetGroup> = { ...group };
  delete settings.match;
  return settings;
}

/**
 * Which tenants a group is about. Region and labels are the tenant's own over the defaults, and not what another group
 * gives: that a group matches never depends on the order of the groups.
 */
function membersOf({ match }: FleetGroup, { tenants, defaults }: FleetFile): Set<number> {
  const { globs, region, labels } = normalised(match);
  const candidates = tenants.map(({ key }, index) => ({ key, name: '', projectId: '', index }));
  const byKey = globs === undefined ? candidates : selectTenants(candidates, globs).selected;
  return new Set(byKey.map(({ index }) => index).filter((index) => isMeant(tenants[index], defaults, region, labels)));
}

function isMeant(
  tenant: FleetTenant | undefined,
  defaults: TenantSettings,
  region: string | undefined,
  labels: Readonly<Record<string, string>>,
): boolean {
  if (region !== undefined && (tenant?.region ?? defaults.region) !== region) return false;
  const own = { ...defaults.labels, ...tenant?.labels };
  return Object.entries(labels).every(([label, value]) => own[label] === value);
}

function normalised(match: GroupMatch) {
  if (typeof match === 'string') return { globs: [match], region: undefined, labels: {} };
  if (Array.isArray(match)) return { globs: match, region: undefined, labels: {} };
  const { key, region, labels = {} } = match;
  return { globs: key === undefined ? undefined : [key].flat(), region, labels };
}

/** The parts that are put together key by key; everything else is taken whole from the later one, lists too. */
const NESTED = ['autoscaling', 'quota', 'labels', 'backup'] as const;

function merge(under: TenantSettings, over: TenantSettings): TenantSettings {
  const nested = NESTED.flatMap((part) => {
    return under[part] === undefined && over[part] === undefined ? [] : [[part, { ...under[part], ...over[part] }]];
  });
  return { ...under, ...over, ...(Object.fromEntries(nested) as Pick<TenantSettings, (typeof NESTED)[number]>) };
}
