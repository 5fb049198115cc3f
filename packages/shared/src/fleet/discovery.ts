import type { ProjectListing } from '../neon/index.js';
import type { Outcome, TenantResult } from './outcome.js';
import { isExclusion, nobodyLeft, nothingMatches, selectTenants, findIdleExclusions } from './selection.js';
import { foreseenSkip, type Whereabouts } from './skips.js';
import { NEON_DEFAULTS, tenantOf, type Location, type Tenant } from './tenant.js';

/** Who takes part in a run. */
export interface Discovery {
  /** Those that there may be work for. */
  readonly tenants: readonly Tenant[];
  /** Outcomes that are known before any work: projects the API said exist without saying more, or that let nobody in. */
  readonly settled: readonly Outcome[];
  /** Exclusions with a star or the like that took nobody out: to be told, since one of them may be misspelled. */
  readonly idleExclusions: readonly string[];
}

/** What discovery knows besides the list. */
export interface DiscoveryContext extends Whereabouts {
  /** The project that the catalog is in: never a tenant, whatever the patterns say. */
  readonly catalogProject?: string | undefined;
}

const BY_NEON = {
  what: 'project',
  sees: 'This key sees',
  nobody: 'This key sees no project at all. Is it the key of the right organisation? A personal key needs neon-org-id.',
} as const;

/**
 * Chooses the tenants of a run out of what Neon lists.
 *
 * A project that Neon could not describe may or may not be meant by a glob, so it is accounted for as `unlisted` unless
 * its id is excluded.
 *
 * @throws ExplainedError when a pattern matches nothing, or an exclusion that is spelled out does, or when the exclusions
 *   leave nobody: a run over no tenant at all must not look like a good one, nor one over somebody who was to be left out.
 */
export function discoverTenants(
  listing: ProjectListing,
  patterns: readonly string[],
  location: Location,
  now: Date,
  { catalogProject, ...whereabouts }: DiscoveryContext = {},
): Discovery {
  const foreseen = new Map<Tenant, TenantResult>();
  const everybody = listing.projects.map((project) => {
    const tenant = tenantOf(project, location);
    const skip = foreseenSkip(project, whereabouts);
    if (skip !== undefined) foreseen.set(tenant, skip);
    return tenant;
  });
  // Whoever takes the catalog out by name is right to, although it never takes part.
  const fleet = everybody.filter(({ projectId }) => projectId !== catalogProject);
  const { selected, unmatched } = selectTenants(fleet, patterns);
  const unavailable = listing.unavailableProjectIds
    .filter((projectId) => projectId !== catalogProject)
    .map((projectId) => ({ key: projectId, name: projectId, projectId }));
  const exclusions = patterns.filter(isExclusion);
  const unlisted = selectTenants(unavailable, ['*', ...exclusions]).selected;

  // With a partial list, what a pattern did not match may be among the missing: those are reported, not refused. Those
  // that are taken out by their id cannot be meant.
  const isWhole = unlisted.length === 0;
  const idle = findIdleExclusions([...everybody, ...unavailable], exclusions);
  if (isWhole) {
    const nowhere = [...unmatched, ...idle.spelledOut];
    if (nowhere.length > 0) throw nothingMatches(nowhere, fleet, BY_NEON);
    if (selected.length === 0) throw nobodyLeft();
  }

  return {
    tenants: selected.filter((tenant) => !foreseen.has(tenant)),
    settled: [
      ...unlisted.map(({ projectId }) => unlistedOutcome(projectId, location, now)),
      ...selected.flatMap((tenant) => {
        const skip = foreseen.get(tenant);
        return skip === undefined ? [] : [settle(tenant, skip, now)];
      }),
    ],
    idleExclusions: isWhole ? idle.globs : [],
  };
}

/** The outcome of a tenant that is known without any work on it. */
export function settle({ projectId, name, database }: Tenant, result: TenantResult, now: Date): Outcome {
  return { projectId, name, database, attempts: 0, startedAt: now.toISOString(), durationMs: 0, ...result };
}

/** The outcome of a project that Neon could not describe. */
export function unlistedOutcome(projectId: string, location: Location, now: Date): Outcome {
  return {
    projectId,
    name: projectId,
    database: location.database ?? NEON_DEFAULTS.database,
    attempts: 0,
    startedAt: now.toISOString(),
    durationMs: 0,
    status: 'skipped',
    reason: 'unlisted',
    detail: 'Neon says that this project exists but could not describe it (unavailable_project_ids); run again later',
  };
}
