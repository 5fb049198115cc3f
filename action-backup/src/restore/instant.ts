import { NeonApiError, type Branch } from '@neon-fleet/shared/neon';

import { makeOrFindBranch, type BranchApi, type OwnBranch } from './own-branch.js';

/**
 * Restores a moment out of Neon's own history: a new branch beside the original, with all of its databases as they were
 * then. The original is not touched.
 *
 * @throws BranchExistsError, NeonApiError, ExplainedError.
 */
export function restoreInstantly(
  neon: BranchApi,
  { projectId, parent, moment }: { readonly projectId: string; readonly parent: Branch; readonly moment: Date },
  signal: AbortSignal,
): Promise<OwnBranch> {
  const at = moment.toISOString();
  return makeOrFindBranch(
    neon,
    {
      projectId,
      name: `restored-at-${at.replace(/[-:.]/g, '')}`,
      parentId: parent.id,
      parentTimestamp: at,
      purpose: `${parent.id} at ${at}`,
    },
    signal,
  );
}

/** Answers that are about the request itself, and not about who asks or when. */
const ABOUT_THE_REQUEST = new Set([400, 406, 412, 422]);

/** Whether Neon would not make a branch of a moment, and has made none. */
export function isRefusedMoment(thrown: unknown): thrown is NeonApiError {
  return (
    thrown instanceof NeonApiError &&
    thrown.operation === 'createProjectBranch' &&
    thrown.isNeonsAnswer &&
    ABOUT_THE_REQUEST.has(thrown.status ?? 0)
  );
}
