import { randomUUID } from 'node:crypto';

import type { BranchAnswer } from './answers.js';
import { BranchExistsError, NeonApiError } from './errors.js';
import { isUnfinished } from './operations.js';
import type { Branch, BranchRestore, ChangedBranch, Neon, NewBranch, Operation } from './port.js';

/** A branch in our terms. */
export function branchOf(answer: BranchAnswer, annotations?: Readonly<Record<string, string>>): Branch {
  const { parent_id: parentId, created_at: createdAt, current_state: state, protected: isProtected } = answer;
  const { last_reset_at: lastResetAt } = answer;
  return {
    id: answer.id,
    name: answer.name,
    isDefault: answer.default,
    ...(typeof isProtected === 'boolean' ? { isProtected } : {}),
    ...(typeof parentId === 'string' ? { parentId } : {}),
    ...(typeof createdAt === 'string' ? { createdAt } : {}),
    ...(typeof lastResetAt === 'string' ? { lastResetAt } : {}),
    ...(typeof state === 'string' ? { state } : {}),
    ...(annotations === undefined ? {} : { annotations }),
  };
}

/** A branch as a list shows it, with the mark that its maker left on it. */
export interface MarkedBranch {
  readonly branch: Branch;
  readonly mark: string | undefined;
}

/** The calls that change branches, each of them sent once or until Neon refused or answered it, and ways to look. */
export interface BranchCalls {
  create(branch: NewBranch, mark: string): Promise<ChangedBranch>;
  restore(restore: BranchRestore): Promise<ChangedBranch>;
  delete(projectId: string, branchId: string): Promise<readonly Operation[]>;
  list(projectId: string): Promise<MarkedBranch[]>;
  get(projectId: string, branchId: string): Promise<Branch>;
  listOperations(projectId: string): Promise<Operation[]>;
  sleep(ms: number): Promise<void>;
}

/** What was carried out may take a moment to show. */
const LOOK_AFTER_MS: readonly number[] = [0, 500, 1_000, 2_000, 4_000];
/** What stands in the way of a request is there already. */
const LOOK_ONCE_MS: readonly number[] = [0];

/** How an API that lets one branch have a name may refuse a second one. */
const REFUSED_AS_DOUBLE = new Set([400, 409, 422]);

const DELETE_ATTEMPTS = 3;

/** The changes to branches that are safe when answers get lost: what is not known is looked up. */
export function reconciledBranches(calls: BranchCalls): Pick<Neon, 'createBranch' | 'restoreBranch' | 'deleteBranch'> {
  const unfinished = async (projectId: string) => (await calls.listOperations(projectId)).filter(isUnfinished);

  return {
    async createBranch(branch) {
      const { projectId, name } = branch;
      // By the name alone it could be one that an earlier run has made, with what the parent held then.
      const mark = randomUUID();
      try {
        return await calls.create(branch, mark);
      } catch (thrown) {
        const found = await lookFor(calls, thrown, projectId, (marked) => marked.branch.name === name);
        if (found === undefined) throw thrown;
        if (found.mark !== mark) {
          throw new BranchExistsError(projectId, found.branch, 'Choose another name, or delete it.', { cause: thrown });
        }
        return { branch: found.branch, operations: await unfinished(projectId) };
      }
    },

    async restoreBranch(restore) {
      const { projectId, branchId, preserveUnderName: name } = restore;
      // Looked for before, so that one that is there afterwards can only come from this restore.
      const taken = (await calls.list(projectId)).find(({ branch }) => branch.name === name);
      if (taken !== undefined) {
        const hint =
          'Has the branch been restored already? It is kept under that name since then. Nothing was changed.';
        throw new BranchExistsError(projectId, taken.branch, hint);
      }
      try {
        return await calls.restore(restore);
      } catch (thrown) {
        const kept = await lookFor(calls, thrown, projectId, ({ branch }) => branch.name === name);
        if (kept === undefined) throw thrown;
        if (!carriedOutPerhaps(thrown)) {
          const hint =
            'Somebody else restored it at the same time, to what may be another moment. Look before you go on.';
          throw new BranchExistsError(projectId, kept.branch, hint, { cause: thrown });
        }
        return { branch: await calls.get(projectId, branchId), operations: await unfinished(projectId) };
      }
    },

    async deleteBranch(projectId, branchId) {
      for (let attempt = 1; ; attempt += 1) {
        try {
          return await calls.delete(projectId, branchId);
        } catch (thrown) {
          if (isGone(thrown)) return unfinishedIfThere(unfinished, projectId);
          if (!carriedOutPerhaps(thrown)) throw thrown;
          if (await isAbsent(calls, projectId, branchId)) return unfinishedIfThere(unfinished, projectId);
          // It is there: the request was not carried out, and an id is never given to another branch.
          if (attempt >= DELETE_ATTEMPTS) throw thrown;
        }
      }
    },
  };
}

/**
 * Looks for the trace of a request whose answer does not say whether it was carried out, or for what stood in its way when
 * it was refused for being double; not at all when the answer says enough.
 */
async function lookFor(
  calls: BranchCalls,
  thrown: unknown,
  projectId: string,
  isIt: (marked: MarkedBranch) => boolean,
): Promise<MarkedBranch | undefined> {
  if (!(thrown instanceof NeonApiError)) return undefined;
  const refused = thrown.status !== undefined && REFUSED_AS_DOUBLE.has(thrown.status);
  if (!refused && !carriedOutPerhaps(thrown)) return undefined;
  for (const waitMs of refused ? LOOK_ONCE_MS : LOOK_AFTER_MS) {
    if (waitMs > 0) await calls.sleep(waitMs);
    const found = (await calls.list(projectId)).find(isIt);
    if (found !== undefined) return found;
  }
  return undefined;
}

function carriedOutPerhaps(thrown: unknown): boolean {
  return thrown instanceof NeonApiError && thrown.mayHaveBeenCarriedOut;
}

function isGone(thrown: unknown): boolean {
  return thrown instanceof NeonApiError && thrown.status === 404 && thrown.isNeonsAnswer;
}

async function isAbsent(calls: BranchCalls, projectId: string, branchId: string): Promise<boolean> {
  try {
    await calls.get(projectId, branchId);
    return false;
  } catch (thrown) {
    if (isGone(thrown)) return true;
    throw thrown;
  }
}

/** With the whole project gone there is nothing to wait for either. */
async function unfinishedIfThere(
  unfinished: (projectId: string) => Promise<Operation[]>,
  projectId: string,
): Promise<Operation[]> {
  try {
    return await unfinished(projectId);
  } catch (thrown) {
    if (isGone(thrown)) return [];
    throw thrown;
  }
}
