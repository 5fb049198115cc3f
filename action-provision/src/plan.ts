import type { Explanation } from '@neon-fleet/shared/errors';
import { selectTenants, type DesiredTenant } from '@neon-fleet/shared/fleet';
import type { ProjectState, StateListing } from '@neon-fleet/shared/neon';

import { changesOf, initialSettings, unchangeableOf, type Change } from './settings.js';

/** What is to be done about one tenant of the fleet. */
export type TenantStep =
  | { readonly step: 'create'; readonly tenant: DesiredTenant; readonly settings: readonly Change[] }
  | {
      readonly step: 'update';
      readonly tenant: DesiredTenant;
      readonly project: ProjectState;
      readonly changes: readonly Change[];
    }
  | { readonly step: 'unchanged'; readonly tenant: DesiredTenant; readonly project: ProjectState }
  | {
      readonly step: 'refuse';
      readonly tenant: DesiredTenant;
      readonly projectId?: string;
      readonly error: Explanation;
    };

/** The whole of what is desired held against the whole of what is there. */
export interface ProvisionPlan {
  readonly steps: readonly TenantStep[];
  /** Projects that the file takes out on purpose, and the glob that does. */
  readonly ignored: readonly { readonly project: ProjectState; readonly glob: string }[];
  /** Projects that the file does not know. They are shown and never touched. */
  readonly unlisted: readonly ProjectState[];
  /** Projects that exist but that Neon could not describe. */
  readonly unavailable: readonly string[];
}

export interface PlanSource {
  readonly desired: readonly DesiredTenant[];
  readonly ignored: readonly string[];
  readonly listing: StateListing;
  /** Ids that the catalog has recorded, by key. The file's own come first. */
  readonly knownIds?: ReadonlyMap<string, string>;
  /** Ids of projects of other names that were once made for a key, by key. */
  readonly madeFor?: ReadonlyMap<string, string>;
}

/** Decides what is to be done about each tenant. Pure, and the same for a plan that is shown and one that is carried out. */
export function planProvision({
  desired,
  ignored,
  listing,
  knownIds = new Map(),
  madeFor = new Map(),
}: PlanSource): ProvisionPlan {
  const byId = new Map(listing.projects.map((project) => [project.projectId, project]));
  const byName = new Map<string, ProjectState[]>();
  for (const project of listing.projects) byName.set(project.name, [...(byName.get(project.name) ?? []), project]);
  const unavailable = new Set(listing.unavailableProjectIds);
  const idOf = (tenant: DesiredTenant) => tenant.projectId ?? knownIds.get(tenant.key);
  const owners = new Map(desired.flatMap((tenant) => pair(idOf(tenant), tenant)));

  const steps = desired.map((tenant): TenantStep => {
    const id = idOf(tenant);
    if (id !== undefined) {
      const project = byId.get(id);
      if (project === undefined)
        return refuse(tenant, unavailable.has(id) ? notDescribed(tenant, [id]) : gone(tenant, id), id);
      const namesakes = (byName.get(tenant.name) ?? []).filter(
        ({ projectId }) => projectId !== id && !isLeaving(projectId),
      );
      if (tenant.name !== project.name && namesakes.length > 0) return refuse(tenant, taken(tenant, namesakes), id);
      return compare(tenant, project);
    }
    const named = byName.get(tenant.name) ?? [];
    const free = named.filter(({ projectId }) => !owners.has(projectId));
    if (free.length > 1) return refuse(tenant, several(tenant.name, free));
    if (free[0] !== undefined) return compare(tenant, free[0]);
    if (named.length > 0) return refuse(tenant, taken(tenant, named));
    if (unavailable.size > 0) return refuse(tenant, notDescribed(tenant, [...unavailable]));
    const former = byId.get(madeFor.get(tenant.key) ?? '');
    if (former !== undefined) return refuse(tenant, renamed(tenant, former), former.projectId);
    return { step: 'create', tenant, settings: initialSettings(tenant) };
  });

  /** Whether a project is about to be given another name by the tenant that it belongs to. */
  function isLeaving(projectId: string): boolean {
    const owner = owners.get(projectId);
    return owner !== undefined && owner.name !== byId.get(projectId)?.name;
  }

  // Those that somebody has to decide about are not strangers either.
  const used = new Set(
    steps.flatMap((step) => [
      ...('project' in step ? [step.project.projectId] : []),
      ...(step.step === 'refuse' && step.projectId !== undefined ? [step.projectId] : []),
      ...(step.step === 'refuse' ? (byName.get(step.tenant.name) ?? []).map(({ projectId }) => projectId) : []),
    ]),
  );
  const rest = listing.projects.filter(({ projectId }) => !used.has(projectId));
  const globs = globsOf(rest, ignored);
  return {
    steps,
    ignored: rest.flatMap((project) => {
      const glob = globs.get(project.projectId);
      return glob === undefined ? [] : [{ project, glob }];
    }),
    unlisted: rest.filter(({ projectId }) => !globs.has(projectId)),
    unavailable: listing.unavailableProjectIds,
  };
}

/** How many tenants there are of each kind of step. */
export function countSteps({ steps }: ProvisionPlan): Record<TenantStep['step'], number> {
  const counts = { create: 0, update: 0, unchanged: 0, refuse: 0 };
  for (const { step } of steps) counts[step] += 1;
  return counts;
}

/** The first glob that takes each of the projects out, by id. */
function globsOf(projects: readonly ProjectState[], ignored: readonly string[]): Map<string, string> {
  const selectable = projects.map(({ name, projectId }) => ({ key: '', name, projectId }));
  const found = new Map<string, string>();
  for (const glob of ignored) {
    for (const { projectId } of selectTenants(selectable, [glob]).selected) {
      if (!found.has(projectId)) found.set(projectId, glob);
    }
  }
  return found;
}

function pair<V>(key: string | undefined, value: V): [string, V][] {
  return key === undefined ? [] : [[key, value]];
}

function compare(tenant: DesiredTenant, project: ProjectState): TenantStep {
  const fixed = unchangeableOf(tenant, project);
  if (fixed.length > 0) {
    const error = {
      message: `the project ${project.projectId} exists, but ${fixed.join(' and ')}; that cannot be changed in Neon`,
      hint: 'Write what it has into fleet.yml, or move the data into a new project.',
    };
    return refuse(tenant, error, project.projectId);
  }
  const changes = changesOf(tenant, project);
  return changes.length === 0 ? { step: 'unchanged', tenant, project } : { step: 'update', tenant, project, changes };
}

function refuse(tenant: DesiredTenant, error: Explanation, projectId?: string): TenantStep {
  return { step: 'refuse', tenant, error, ...(projectId === undefined ? {} : { projectId }) };
}

function several(name: string, projects: readonly ProjectState[]): Explanation {
  return {
    message: `${projects.length} projects are called ${JSON.stringify(name)}: ${projects.map(({ projectId }) => projectId).join(', ')}`,
    hint: 'Write the project-id of the right one into fleet.yml, or rename or delete the others in Neon.',
  };
}

function gone({ key }: DesiredTenant, projectId: string): Explanation {
  return {
    message: `the project ${projectId} of the tenant ${JSON.stringify(key)} is not there; nothing was created in its place`,
    hint: 'Was it deleted, or moved to another organisation? Neon can recover it for 7 days. Take project-id out to make a new one.',
  };
}

function renamed({ key, name }: DesiredTenant, { projectId, name: former }: ProjectState): Explanation {
  return {
    message: `the project ${projectId}, called ${JSON.stringify(former)}, was made for the key ${JSON.stringify(key)}; no second one was created`,
    hint: `To rename it to ${JSON.stringify(name)}, write project-id: ${projectId} into fleet.yml. If it belongs to another fleet, put it under ignored.`,
  };
}

function taken({ name }: DesiredTenant, projects: readonly ProjectState[]): Explanation {
  return {
    message: `the name ${JSON.stringify(name)} is that of ${projects.map(({ projectId }) => projectId).join(', ')}`,
    hint: 'Two projects of one name cannot be told apart. Rename the other one first, and run again.',
  };
}

function notDescribed({ name }: DesiredTenant, ids: readonly string[]): Explanation {
  return {
    message: `whether ${JSON.stringify(name)} exists is not certain: Neon could not describe ${ids.slice(0, 10).join(', ')}; nothing was done`,
    hint: 'Run again when Neon lists all projects; creating now could make a second project for the tenant.',
  };
}
