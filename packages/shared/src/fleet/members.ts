import { ExplainedError } from '../errors/index.js';
import type { ProjectListing, ProjectRef } from '../neon/index.js';
import { settle, unlistedOutcome, type Discovery, type DiscoveryContext } from './discovery.js';
import type { DesiredTenant } from './fleet-file-resolve.js';
import type { Outcome, TenantResult } from './outcome.js';
import { findIdleExclusions, selectTenants } from './selection.js';
import { foreseenSkip } from './skips.js';
import { tenantOf, type Location, type Tenant } from './tenant.js';

/** A fleet file, resolved: who is of the fleet, and who is left out of it on purpose. */
export interface Fleet {
  readonly members: readonly DesiredTenant[];
  /** Globs on names and ids of projects. */
  readonly ignored: readonly string[];
}

/** Who of the fleet file takes part in a run. */
export interface MemberDiscovery extends Discovery {
  /** Projects that the key sees, and that the file neither knows nor ignores. */
  readonly strangers: readonly ProjectRef[];
}

/**
 * Chooses the tenants of a run out of a fleet file. Each is found by the id that the file gives, else by its exact name. A
 * tenant without a project is accounted for: `gone` when it had an id, else as a failure.
 *
 * @param patterns compared with key, name and project-id; undefined: everybody in the file.
 * @throws ExplainedError when a pattern matches nobody of the file, or nobody is left.
 */
export function discoverMembers(
  listing: ProjectListing,
  { members, ignored }: Fleet,
  patterns: readonly string[] | undefined,
  location: Location,
  now: Date,
  { catalogProject, ...whereabouts }: DiscoveryContext = {},
): MemberDiscovery {
  const find = memberFinder(listing, members);
  const tenants: Tenant[] = [];
  const settled: Outcome[] = [];
  const { selected, idleExclusions } = selectMembers(members, patterns);
  for (const member of selected) {
    const found = find(member);
    if ('project' in found) {
      const tenant = tenantOfMember(member, found.project, location);
      const skip = foreseenSkip(found.project, whereabouts);
      if (skip === undefined) tenants.push(tenant);
      else settled.push(settle(tenant, skip, now));
    } else if (found.unlisted) {
      settled.push({ ...unlistedOutcome(found.projectId, location, now), name: member.name });
    } else {
      settled.push(settle(tenantOfMember(member, nowhere(member), location), found.result, now));
    }
  }
  const known = new Set(members.flatMap((member) => idsOf(find(member))));
  const rest = listing.projects.filter(({ projectId }) => projectId !== catalogProject && !known.has(projectId));
  const ignoredIds = new Set(selectTenants(rest.map(selectable), ignored).selected.map(({ projectId }) => projectId));
  const strangers = rest.filter(({ projectId }) => !ignoredIds.has(projectId));
  return { tenants, settled, idleExclusions, strangers };
}

/** Something that has the id of a project, and the name that it has or had. */
interface Identified {
  readonly projectId: string;
  readonly name: string;
}

/**
 * Tells whom of the file a project or a backup belongs to: by the id, else by the name where the file gives no id. For
 * commands that do not ask Neon, with the name of the last backup.
 */
export function membersBy(members: readonly DesiredTenant[]): (of: Identified) => DesiredTenant | undefined {
  const byId = new Map(
    members.flatMap((member) => (member.projectId === undefined ? [] : [[member.projectId, member]])),
  );
  const byName = new Map(members.flatMap((member) => (member.projectId === undefined ? [[member.name, member]] : [])));
  return ({ projectId, name }) => byId.get(projectId) ?? byName.get(name);
}

/**
 * Whom of the file somebody means: by the exact key, else by the project's id, else by its name. Undefined:
 * nobody of the file, or no file.
 */
export function memberNamed(fleet: Fleet | undefined, tenant: string): DesiredTenant | undefined {
  const members = fleet?.members ?? [];
  return (
    members.find(({ key }) => key === tenant) ??
    members.find(({ projectId }) => projectId === tenant) ??
    members.find(({ name }) => name === tenant)
  );
}

type Found =
  | { readonly project: ProjectRef }
  | { readonly unlisted: true; readonly projectId: string }
  | { readonly unlisted: false; readonly result: TenantResult };

function memberFinder(
  { projects, unavailableProjectIds }: ProjectListing,
  members: readonly DesiredTenant[],
): (member: DesiredTenant) => Found {
  const byId = new Map(projects.map((project) => [project.projectId, project]));
  const taken = new Set(members.flatMap(({ projectId }) => projectId ?? []));
  const byName = new Map<string, ProjectRef[]>();
  for (const project of projects) {
    if (!taken.has(project.projectId)) byName.set(project.name, [...(byName.get(project.name) ?? []), project]);
  }
  return ({ projectId, name }) => {
    if (projectId !== undefined) {
      const project = byId.get(projectId);
      if (project !== undefined) return { project };
      if (unavailableProjectIds.includes(projectId)) return { unlisted: true, projectId };
      const detail = 'the fleet file names this project, and Neon does not have it';
      return { unlisted: false, result: { status: 'skipped', reason: 'gone', detail } };
    }
    const [project, ...others] = byName.get(name) ?? [];
    if (project !== undefined && others.length === 0) return { project };
    if (project === undefined && unavailableProjectIds.length > 0) return { unlisted: true, projectId: '' };
    return { unlisted: false, result: notOne(name, others.length) };
  };
}

function notOne(name: string, others: number): TenantResult {
  const error =
    others === 0
      ? {
          message: `Neon has no project called ${JSON.stringify(name)}`,
          hint: 'Provision it first, or take it out of the fleet file; "command: import" of provision fills in project-id.',
        }
      : {
          message: `Neon has ${others + 1} projects called ${JSON.stringify(name)}`,
          hint: 'Set the project-id of the one that is meant in the fleet file.',
        };
  return { status: 'failed', detail: error.message, error };
}

function idsOf(found: Found): string[] {
  return 'project' in found ? [found.project.projectId] : [];
}

/** Chooses out of the file alone. @throws ExplainedError when a pattern matches nobody, or nobody is left. */
export function selectMembers(
  members: readonly DesiredTenant[],
  patterns: readonly string[] = ['*'],
): { readonly selected: readonly DesiredTenant[]; readonly idleExclusions: readonly string[] } {
  const candidates = members.map((member) => ({ ...member, projectId: member.projectId ?? '', member }));
  const { selected, unmatched } = selectTenants(candidates, patterns);
  const idle = findIdleExclusions(candidates, patterns);
  const nowhereToBeFound = [...unmatched, ...idle.spelledOut].map((pattern) => JSON.stringify(pattern));
  if (nowhereToBeFound.length > 0 || selected.length === 0) {
    throw new ExplainedError({
      message:
        members.length === 0
          ? 'the fleet file names no tenant; nothing was done'
          : nowhereToBeFound.length > 0
            ? `tenants: nobody in the fleet file matches ${nowhereToBeFound.join(', ')}; nothing was done`
            : 'tenants: the patterns select nobody; nothing was done',
      hint: 'A pattern is compared with the key, the name and the project-id of each tenant of the file.',
    });
  }
  return { selected: selected.map(({ member }) => member), idleExclusions: idle.globs };
}

/** A tenant as the file has it: what the inputs say of its database comes first, then the file, then Neon's defaults. */
export function tenantOfMember(member: DesiredTenant, project: ProjectRef, location: Location): Tenant {
  const { branch, database, role, labels = {}, backup } = member.settings;
  const tenant = tenantOf(project, {
    branch: location.branch ?? branch,
    database: location.database ?? database,
    role: location.role ?? role,
  });
  return { ...tenant, key: member.key, labels, ...(backup === undefined ? {} : { backup }) };
}

/** In the place of a project that is not there. */
function nowhere({ name, projectId = '' }: DesiredTenant): ProjectRef {
  return { projectId, name, regionId: '', pgVersion: 0, createdAt: '' };
}

function selectable({ name, projectId }: ProjectRef) {
  return { key: '', name, projectId };
}
