import { describe, expect, test } from '@jest/globals';

import { reconciledBranches, type BranchCalls } from '../../../src/neon/branches.js';
import { BranchExistsError, NeonApiError, type Branch, type Operation } from '../../../src/neon/index.js';

const PROJECT = 'p-1';
const MAIN: Branch = { id: 'br-main', name: 'main', isDefault: true };

/** What becomes of one request: carried out or not, and what its sender hears. */
type Fate =
  | 'answered'
  /** Carried out, and the answer is lost in one of the ways in which answers get lost. */
  | { readonly carriedOut: true; readonly heard: number | undefined; readonly late?: number }
  | { readonly carriedOut: false; readonly heard: number | undefined };

const failure = (operation: string, status: number | undefined, message = 'x') =>
  new NeonApiError(operation, {
    ...(status === undefined ? { answerLost: true } : { status, answerLost: false }),
    message,
  });

/** A project that has branches, as the calls see it, where each request meets its fate. */
function project(fates: Fate[] = [], branches: Branch[] = [MAIN]) {
  const marks = new Map<string, string>();
  const operations: Operation[] = [{ id: 'op-old', action: 'x', status: 'finished' }];
  const sent: string[] = [];
  const slept: number[] = [];
  /** Looks until what was carried out shows. */
  let blindLooks = 0;
  let hidden: Branch[] = [];

  async function send<T>(operation: string, carryOut: () => T): Promise<T> {
    await Promise.resolve();
    sent.push(operation);
    const fate = fates.shift() ?? 'answered';
    if (fate === 'answered') return carryOut();
    if (fate.carriedOut) {
      const before = [...branches];
      carryOut();
      if (fate.late !== undefined) {
        blindLooks = fate.late;
        hidden = branches.filter((branch) => !before.includes(branch));
      }
    }
    throw failure(operation, fate.heard);
  }

  function add(name: string, id: string): Branch {
    if (branches.some((branch) => branch.name === name)) throw failure('create', 409, 'branch already exists');
    const branch = { id, name, isDefault: false };
    branches.push(branch);
    operations.push({ id: `op-${id}`, action: 'create_branch', status: 'running' });
    return branch;
  }

  const calls: BranchCalls = {
    create: ({ name }, mark) =>
      send('create', () => {
        const branch = add(name, `br-${name}`);
        marks.set(branch.id, mark);
        return { branch, operations: operations.slice(-1) };
      }),
    restore: ({ preserveUnderName }) =>
      send('restore', () => {
        add(preserveUnderName, 'br-kept');
        return { branch: MAIN, operations: operations.slice(-1) };
      }),
    delete: (_, branchId) =>
      send('delete', () => {
        const index = branches.findIndex(({ id }) => id === branchId);
        if (index === -1) throw failure('delete', 404);
        branches.splice(index, 1);
        return [];
      }),
    list: () => {
      const visible = blindLooks > 0 ? branches.filter((branch) => !hidden.includes(branch)) : branches;
      blindLooks -= 1;
      return Promise.resolve(visible.map((branch) => ({ branch, mark: marks.get(branch.id) })));
    },
    get: (_, branchId) => {
      const found = branches.find(({ id }) => id === branchId);
      return found === undefined ? Promise.reject(failure('get', 404)) : Promise.resolve(found);
    },
    listOperations: () => Promise.resolve([...operations]),
    sleep: (ms) => {
      slept.push(ms);
      return Promise.resolve();
    },
  };
  return { neon: reconciledBranches(calls), branches, sent, slept, marks };
}

const LOST: readonly (number | undefined)[] = [undefined, 408, 500, 502, 504];
const NEW = { projectId: PROJECT, name: 'before' };
const RESTORE = {
  projectId: PROJECT,
  branchId: 'br-main',
  sourceBranchId: 'br-main',
  sourceLsn: '0/1',
  preserveUnderName: 'kept',
};

describe('a branch is made', () => {
  test('with one request', async () => {
    const { neon, sent } = project();
    expect(await neon.createBranch(NEW)).toMatchObject({
      branch: { name: 'before' },
      operations: [{ status: 'running' }],
    });
    expect(sent).toStrictEqual(['create']);
  });

  test.each(LOST)('once when it is carried out and %s is heard', async (heard) => {
    const { neon, branches, sent } = project([{ carriedOut: true, heard }]);
    expect(await neon.createBranch(NEW)).toStrictEqual({
      branch: { id: 'br-before', name: 'before', isDefault: false },
      operations: [{ id: 'op-br-before', action: 'create_branch', status: 'running' }],
    });
    expect(sent).toStrictEqual(['create']);
    expect(branches).toHaveLength(2);
  });

  test('also when it shows only a while later', async () => {
    const { neon, sent, slept } = project([{ carriedOut: true, heard: undefined, late: 3 }]);
    expect(await neon.createBranch(NEW)).toMatchObject({ branch: { id: 'br-before' } });
    expect(sent).toStrictEqual(['create']);
    expect(slept).toStrictEqual([500, 1_000, 2_000]);
  });

  test.each(LOST)('or not at all, and then never by a second request, when %s is heard', async (heard) => {
    const { neon, branches, sent } = project([{ carriedOut: false, heard }]);
    await expect(neon.createBranch(NEW)).rejects.toMatchObject({ name: 'NeonApiError' });
    expect(sent).toStrictEqual(['create']);
    expect(branches).toStrictEqual([MAIN]);
  });

  test.each([undefined, 409])(
    'and is not taken for one that was there before: that has what the parent held then (%s)',
    async (heard) => {
      const older = { id: 'br-older', name: 'before', isDefault: false };
      const { neon, branches } = project([{ carriedOut: false, heard }], [MAIN, older]);
      const thrown = await neon.createBranch(NEW).catch((error: unknown) => error);
      expect(thrown).toBeInstanceOf(BranchExistsError);
      expect(thrown).toMatchObject({ branch: older, hint: expect.any(String) });
      expect(branches).toStrictEqual([MAIN, older]);
    },
  );

  test('and is ours when an attempt that was refused had been carried out all the same', async () => {
    const { neon, branches } = project([{ carriedOut: true, heard: 409 }]);
    expect(await neon.createBranch(NEW)).toMatchObject({ branch: { id: 'br-before' } });
    expect(branches).toHaveLength(2);
  });

  test.each([401, 403, 404, 423, 429, 503])(
    'not looked for after %s, which says that it is not there',
    async (heard) => {
      const { neon, slept } = project([{ carriedOut: false, heard }]);
      await expect(neon.createBranch(NEW)).rejects.toMatchObject({ status: heard });
      expect(slept).toStrictEqual([]);
    },
  );
});

describe('a branch is restored', () => {
  test('with one request, and what it held is kept', async () => {
    const { neon, sent, branches } = project();
    expect(await neon.restoreBranch(RESTORE)).toMatchObject({ branch: MAIN });
    expect(sent).toStrictEqual(['restore']);
    expect(branches.map(({ name }) => name)).toStrictEqual(['main', 'kept']);
  });

  test.each(LOST)('once when it is carried out and %s is heard', async (heard) => {
    const { neon, sent, branches } = project([{ carriedOut: true, heard }]);
    expect(await neon.restoreBranch(RESTORE)).toStrictEqual({
      branch: MAIN,
      operations: [{ id: 'op-br-kept', action: 'create_branch', status: 'running' }],
    });
    expect(sent).toStrictEqual(['restore']);
    expect(branches).toHaveLength(2);
  });

  test.each(LOST)('or fails, and is never sent twice, when it is not carried out and %s is heard', async (heard) => {
    const { neon, sent, branches } = project([{ carriedOut: false, heard }]);
    await expect(neon.restoreBranch(RESTORE)).rejects.toMatchObject({ name: 'NeonApiError' });
    expect(sent).toStrictEqual(['restore']);
    expect(branches).toStrictEqual([MAIN]);
  });

  test('not a second time: the name says that it has been done, and nothing is sent', async () => {
    const { neon, sent } = project();
    await neon.restoreBranch(RESTORE);
    const thrown = await neon.restoreBranch(RESTORE).catch((error: unknown) => error);
    expect(thrown).toBeInstanceOf(BranchExistsError);
    expect(thrown).toMatchObject({ hint: expect.stringContaining('Nothing was changed') });
    expect(sent).toStrictEqual(['restore']);
  });

  test('once by two that want it at the same time', async () => {
    const { neon, branches } = project();
    const ends = await Promise.allSettled([neon.restoreBranch(RESTORE), neon.restoreBranch(RESTORE)]);
    expect(ends).toMatchObject([
      { status: 'fulfilled' },
      { status: 'rejected', reason: { name: 'BranchExistsError' } },
    ]);
    expect(branches.filter(({ name }) => name === 'kept')).toHaveLength(1);
  });

  test('or says why not, when Neon refuses it for another reason', async () => {
    const { neon } = project([{ carriedOut: false, heard: 400 }]);
    await expect(neon.restoreBranch(RESTORE)).rejects.toMatchObject({ status: 400 });
  });
});

describe('a branch is deleted', () => {
  const doomed: Branch = { id: 'br-doomed', name: 'doomed', isDefault: false };

  test.each<[string, Fate[], number]>([
    ['with one request', [], 1],
    ['though the answer is lost', [{ carriedOut: true, heard: undefined }], 1],
    ['though a gateway answers', [{ carriedOut: true, heard: 502 }], 1],
    ['by another request when it is seen to be there still', [{ carriedOut: false, heard: undefined }], 2],
  ])('%s', async (_, fates, requests) => {
    const { neon, branches, sent } = project(fates, [MAIN, doomed]);
    await neon.deleteBranch(PROJECT, doomed.id);
    expect(branches).toStrictEqual([MAIN]);
    expect(sent).toHaveLength(requests);
  });

  test('when it has been deleted by somebody else', async () => {
    const { neon } = project();
    expect(await neon.deleteBranch(PROJECT, 'br-gone')).toStrictEqual([]);
  });

  test('or says so when it cannot be', async () => {
    const lost: Fate = { carriedOut: false, heard: undefined };
    const { neon, sent } = project([lost, lost, lost, lost], [MAIN, doomed]);
    await expect(neon.deleteBranch(PROJECT, doomed.id)).rejects.toMatchObject({ name: 'NeonApiError' });
    expect(sent).toHaveLength(3);
  });

  test('or is refused, as a protected one is', async () => {
    const { neon } = project([{ carriedOut: false, heard: 422 }], [MAIN, doomed]);
    await expect(neon.deleteBranch(PROJECT, doomed.id)).rejects.toMatchObject({ status: 422 });
  });
});
