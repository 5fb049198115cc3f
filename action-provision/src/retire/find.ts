import { ExplainedError } from '@neon-fleet/shared/errors';
import type { Management, ProjectState } from '@neon-fleet/shared/neon';

import { existingProject } from '../look.js';
import { searchTerm } from '../find-or-create.js';
import type { TenantStep } from '../plan.js';
import { recentlyDeleted } from '../recently-deleted.js';

/** A project that was deleted, perhaps by a run that did not get further. */
export interface DeletedProject {
  readonly projectId: string;
  /** Absent: Neon does not say, or it cannot be recovered any more. */
  readonly recoverableUntil?: string;
}

export type Retiree =
  | { readonly is: 'there'; readonly project: ProjectState }
  | { readonly is: 'deleted'; readonly project: DeletedProject };

type Api = Pick<Management, 'listStates'>;

/**
 * Finds the project of a tenant that is to be retired, or what Neon still knows of it when it has been deleted already.
 *
 * @throws ExplainedError when it is not certain which it is, or when there is no trace of one.
 */
export async function findRetiree(manage: Api, step: TenantStep, knownId: string | undefined): Promise<Retiree> {
  if ('project' in step) return { is: 'there', project: step.project };
  const id = step.step === 'refuse' ? (step.projectId ?? knownId) : knownId;
  if (step.step === 'refuse') {
    // Refused because it is gone is what is looked for here; every other reason is one here too.
    const { projects, unavailableProjectIds } = await manage.listStates(id === undefined ? {} : { search: id });
    const isGone = id !== undefined && !projects.some(({ projectId }) => projectId === id);
    if (!isGone || unavailableProjectIds.length > 0) throw new ExplainedError(step.error);
  }
  const deleted = await findDeleted(manage, { id, name: step.tenant.name });
  if (deleted !== undefined) return { is: 'deleted', project: deleted };
  // The file or the catalog knows the id, and nobody else does: longer ago than Neon remembers.
  if (id !== undefined) return { is: 'deleted', project: { projectId: id } };
  return { is: 'there', project: existingProject(step) };
}

/** A project that can be recovered, by its id or else by its exact name; of several the one that was deleted last. */
export async function findDeleted(
  manage: Api,
  { id, name }: { readonly id: string | undefined; readonly name: string },
): Promise<DeletedProject | undefined> {
  const deleted = await recentlyDeleted(manage, id ?? searchTerm(name));
  return deleted.filter((project) => (id === undefined ? project.name === name : project.projectId === id)).at(-1);
}
