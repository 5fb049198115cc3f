import type { Explanation } from '@neon-fleet/shared/errors';
import { NeonApiError, type Management, type ProjectState } from '@neon-fleet/shared/neon';

import { searchTerm } from './find-or-create.js';
import type { TenantStep } from './plan.js';

type Api = Pick<Management, 'listStates'>;

/**
 * Refuses to create a project for a tenant whose project was deleted and can still be recovered. Whoever retires a tenant
 * and leaves it in the file would otherwise get a new and empty project with the next `apply`; whoever deleted one by
 * mistake would get it in the place of the data.
 */
export async function withoutRecreations(
  manage: Api,
  steps: readonly TenantStep[],
  now: Date = new Date(),
): Promise<readonly TenantStep[]> {
  const missing = steps.filter(({ step }) => step === 'create');
  if (missing.length === 0) return steps;
  const [only] = missing.length === 1 ? missing : [];
  const deleted = await recentlyDeleted(manage, only === undefined ? undefined : searchTerm(only.tenant.name), now);
  const byName = new Map(deleted.map((project) => [project.name, project]));
  return steps.map((step) => {
    const project = step.step === 'create' ? byName.get(step.tenant.name) : undefined;
    if (project === undefined) return step;
    return { step: 'refuse', tenant: step.tenant, projectId: project.projectId, error: recoverable(project) };
  });
}

/** Projects that were deleted and that Neon can still bring back, those that were deleted last at the end. */
export async function recentlyDeleted(
  manage: Api,
  search: string | undefined,
  now: Date = new Date(),
): Promise<readonly ProjectState[]> {
  try {
    const { projects } = await manage.listStates({ deleted: true, ...(search === undefined ? {} : { search }) });
    return projects
      .filter(({ recoverableUntil }) => recoverableUntil !== undefined && Date.parse(recoverableUntil) > now.getTime())
      .toSorted((a, b) => Date.parse(a.recoverableUntil ?? '') - Date.parse(b.recoverableUntil ?? ''));
  } catch (thrown) {
    // Not every account has this list.
    if (thrown instanceof NeonApiError && [400, 403, 404].includes(thrown.status ?? 0)) return [];
    throw thrown;
  }
}

function recoverable({ projectId, name, recoverableUntil = '' }: ProjectState): Explanation {
  return {
    message: `the project ${projectId}, called ${JSON.stringify(name)}, was deleted, and can be recovered until ${recoverableUntil}; no new one was created`,
    hint: 'If the tenant has left, take it out of fleet.yml. To have it back, recover the project in Neon. For a new and empty project, set recreate-deleted: true.',
  };
}
