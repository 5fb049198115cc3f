import { ExplainedError } from '@neon-fleet/shared/errors';
import { findBranch, type Branch, type Neon, type ProjectRef } from '@neon-fleet/shared/neon';

/**
 * Finds the project of a tenant at Neon, by id or exact name; undefined when it is gone.
 *
 * @throws ExplainedError when several have that name, or Neon cannot tell at the moment.
 */
export async function findProject(neon: Pick<Neon, 'listProjects'>, tenant: string): Promise<ProjectRef | undefined> {
  const { projects, unavailableProjectIds } = await neon.listProjects(tenant);
  const byId = projects.find(({ projectId }) => projectId === tenant);
  if (byId !== undefined) return byId;
  const named = projects.filter(({ name }) => name === tenant);
  if (named.length > 1) {
    throw new ExplainedError({
      message: `${named.length} projects are called ${JSON.stringify(tenant)}: ${named.map(({ projectId }) => projectId).join(', ')}`,
      hint: 'Set tenant to the id of the one that is meant.',
    });
  }
  if (named[0] === undefined && unavailableProjectIds.length > 0) {
    throw new ExplainedError({
      message: `Neon cannot tell at the moment whether there is a project ${JSON.stringify(tenant)}: it left ${unavailableProjectIds.length} out of the list`,
      hint: 'Run again in a moment. A dump can be restored without Neon: set target-url, or target: new-project.',
    });
  }
  return named[0];
}

/** The branch that a tenant's data is in: the one that is named, by id or name, or else the default one. */
export async function branchOfTenant(
  neon: Pick<Neon, 'listBranches' | 'defaultBranch'>,
  projectId: string,
  named: string | undefined,
): Promise<Branch> {
  return named === undefined ? neon.defaultBranch(projectId) : findBranch(neon, projectId, named);
}
