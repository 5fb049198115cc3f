import {
  BranchExistsError,
  unfinishedOperations,
  waitForOperations,
  type Branch,
  type Neon,
  type NewBranch,
} from '@neon-fleet/shared/neon';

/** The note on a branch that says what a restore made it for. */
const PURPOSE = 'neon-fleet-restore';

export type BranchApi = Pick<Neon, 'listBranches' | 'createBranch' | 'listOperations' | 'getOperation'>;

export interface WantedBranch extends Pick<NewBranch, 'projectId' | 'parentId' | 'parentTimestamp'> {
  /** The same for the same restore, so that a second run finds what the first one made. */
  readonly name: string;
  /** What it is for, which says as much as its name and cannot be chosen by chance. */
  readonly purpose: string;
}

/** A branch that stands beside the original; ready. */
export interface OwnBranch {
  readonly branch: Branch;
  /** Whether an earlier run, or another one at the same time, has made it. */
  readonly wasThere: boolean;
}

/**
 * Makes a branch with a compute of its own, or finds the one that was made for the same purpose. Nobody else's is taken
 * for it.
 *
 * @throws BranchExistsError when there is one of that name for another purpose; NeonApiError; ExplainedError.
 */
export async function makeOrFindBranch(neon: BranchApi, wanted: WantedBranch, signal: AbortSignal): Promise<OwnBranch> {
  const { purpose, ...request } = wanted;
  const { projectId, name } = request;
  const there = (await neon.listBranches(projectId)).find((branch) => branch.name === name);
  if (there !== undefined) return found(there);
  try {
    const annotations = { [PURPOSE]: purpose };
    const { branch, operations } = await neon.createBranch({ ...request, withCompute: true, annotations });
    await waitForOperations(neon, projectId, operations, { signal });
    return { branch, wasThere: false };
  } catch (thrown) {
    // Another run of the same restore may have been faster.
    if (!(thrown instanceof BranchExistsError)) throw thrown;
    return found(thrown.branch);
  }

  async function found(branch: Branch): Promise<OwnBranch> {
    if (branch.annotations?.[PURPOSE] !== purpose) {
      const hint = 'It was not made by this restore, and is left alone. Rename or delete it, and run again.';
      throw new BranchExistsError(projectId, branch, hint);
    }
    const operations = await unfinishedOperations(neon, projectId);
    await waitForOperations(neon, projectId, operations, { signal });
    return { branch, wasThere: true };
  }
}
