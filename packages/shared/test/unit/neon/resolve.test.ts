import { describe, expect, test } from '@jest/globals';

import {
  findDatabase,
  NeonApiError,
  StillCreatingError,
  type Branch,
  type ConnectionRequest,
  type Database,
  type WantedDatabase,
} from '../../../src/neon/index.js';

interface Project {
  readonly branches?: readonly Branch[];
  /** Databases of each branch. */
  readonly databases?: Readonly<Record<string, readonly Database[]>>;
  /** Roles, when there are others than the owners. */
  readonly roles?: readonly string[];
}

const MAIN: Branch = { id: 'br-main', name: 'main', isDefault: true };
const DEV: Branch = { id: 'br-dev', name: 'dev', isDefault: false };

function notFound(operation: string): NeonApiError {
  return new NeonApiError(operation, { status: 404, message: 'not found', answerLost: false });
}

/** A project that answers as Neon does, and remembers what it was asked. */
function fakeNeon({ branches = [MAIN], databases = {}, roles }: Project) {
  const asked: string[] = [];
  const of = (branchId: string) => databases[branchId] ?? [];
  return {
    asked,
    connectionUri: ({ database, role, branchId = 'br-main', projectId }: ConnectionRequest) => {
      asked.push(`uri ${branchId} ${database} ${role}`);
      const known = of(branchId).some(({ name }) => name === database);
      const roleKnown = (roles ?? of(branchId).map(({ owner }) => owner)).includes(role);
      if (!known || !roleKnown) return Promise.reject(notFound('getConnectionUri'));
      return Promise.resolve(`postgresql://${role}:pw@${projectId}.${branchId}/${database}`);
    },
    listBranches: () => {
      asked.push('branches');
      return Promise.resolve([...branches]);
    },
    listDatabases: (_: string, branchId: string) => {
      asked.push(`databases ${branchId}`);
      return Promise.resolve([...of(branchId)]);
    },
  };
}

function wanted(overrides: Partial<WantedDatabase> = {}): WantedDatabase {
  return {
    projectId: 'p-1',
    database: 'neondb',
    role: 'neondb_owner',
    assumed: { database: true, role: true },
    ...overrides,
  };
}

const USUAL = { 'br-main': [{ name: 'neondb', owner: 'neondb_owner' }] };
const SPELLED_OUT = { database: false, role: false };

describe('what Neon has not finished making is told from what is not there:', () => {
  test.each<[string, Project, Partial<WantedDatabase>]>([
    ['a project without any branch', { branches: [] }, {}],
    ['a default branch that is being made', { branches: [{ ...MAIN, state: 'init' }] }, {}],
    ['a named branch that is being made', { branches: [MAIN, { ...DEV, state: 'init' }] }, { branch: 'dev' }],
  ])('%s', async (_, project, names) => {
    await expect(findDatabase(fakeNeon(project), wanted(names))).rejects.toBeInstanceOf(StillCreatingError);
  });

  test('a branch that is being made does not matter when it is another one, or when it can be used', async () => {
    const neon = fakeNeon({ branches: [{ ...MAIN, state: 'init' }, DEV], databases: USUAL });
    await expect(findDatabase(neon, wanted())).resolves.toMatchObject({ database: 'neondb' });
    expect(neon.asked).toHaveLength(1);
  });
});

test('the common case is one call', async () => {
  const neon = fakeNeon({ databases: USUAL });
  expect(await findDatabase(neon, wanted())).toStrictEqual({
    projectId: 'p-1',
    database: 'neondb',
    role: 'neondb_owner',
    uri: 'postgresql://neondb_owner:pw@p-1.br-main/neondb',
  });
  expect(neon.asked).toStrictEqual(['uri br-main neondb neondb_owner']);
});

describe('a name that was only assumed', () => {
  test.each<[string, Database[], Partial<WantedDatabase>, string]>([
    ['gives way to the only database and its owner', [{ name: 'app', owner: 'app_owner' }], {}, 'app app_owner'],
    [
      'of the role gives way to the owner of the database that has the name',
      [
        { name: 'neondb', owner: 'other' },
        { name: 'app', owner: 'app_owner' },
      ],
      {},
      'neondb other',
    ],
    [
      'of the role gives way to the owner of the database that was spelled out',
      [
        { name: 'neondb', owner: 'other' },
        { name: 'app', owner: 'app_owner' },
      ],
      { database: 'app', assumed: { database: false, role: true } },
      'app app_owner',
    ],
    [
      'of the database gives way to the only one, with the role that was spelled out',
      [{ name: 'app', owner: 'owner' }],
      { role: 'owner', assumed: { database: true, role: false } },
      'app owner',
    ],
  ])('%s', async (_, databases, overrides, found) => {
    const neon = fakeNeon({ databases: { 'br-main': databases } });
    const { database, role, uri } = await findDatabase(neon, wanted(overrides));
    expect(`${database} ${role}`).toBe(found);
    expect(uri).toBe(`postgresql://${role}:pw@p-1.br-main/${database}`);
    expect(neon.asked.slice(1)).toStrictEqual(['branches', 'databases br-main', `uri br-main ${found}`]);
  });
});

describe('work never lands in another database than asked:', () => {
  test.each<[string, Database[], Partial<WantedDatabase>, RegExp]>([
    [
      'several to choose from',
      [
        { name: 'app', owner: 'a' },
        { name: 'logs', owner: 'b' },
      ],
      {},
      /^It has "app" owned by "a", "logs" owned by "b"\. Set the inputs database and role\.$/,
    ],
    [
      'a database spelled out that is not there',
      [{ name: 'app', owner: 'a' }],
      { database: 'apq', assumed: SPELLED_OUT },
      /"app"/,
    ],
    [
      'a database spelled out with an assumed role',
      [{ name: 'app', owner: 'a' }],
      { database: 'apq', assumed: { database: false, role: true } },
      /"app"/,
    ],
    [
      'a role spelled out that is not there',
      [{ name: 'neondb', owner: 'neondb_owner' }],
      { role: 'reader', assumed: { database: true, role: false } },
      /"neondb" owned by "neondb_owner"/,
    ],
    ['none at all', [], {}, /^It has none at all\./],
  ])('%s', async (_, databases, overrides, hint) => {
    const neon = fakeNeon({ databases: { 'br-main': databases } });
    await expect(findDatabase(neon, wanted(overrides))).rejects.toMatchObject({
      name: 'ExplainedError',
      message: expect.stringMatching(/^the project p-1 has no database "\w+" with a role "\w+"$/),
      hint: expect.stringMatching(hint),
    });
    // Only the first one, which was refused.
    expect(neon.asked.filter((text) => text.startsWith('uri'))).toHaveLength(1);
  });

  test.each([401, 423, 500, undefined])(
    'a failure other than 404 (%s) is no reason to look elsewhere',
    async (status) => {
      const error = new NeonApiError('getConnectionUri', {
        answerLost: true,
        ...(status === undefined ? {} : { status }),
      });
      const neon = { ...fakeNeon({ databases: USUAL }), connectionUri: () => Promise.reject(error) };
      await expect(findDatabase(neon, wanted())).rejects.toBe(error);
      expect(neon.asked).toStrictEqual([]);
    },
  );

  test('a project without a default branch stays not found', async () => {
    const neon = fakeNeon({ branches: [DEV], databases: { 'br-dev': [{ name: 'app', owner: 'a' }] } });
    await expect(findDatabase(neon, wanted())).rejects.toMatchObject({ name: 'NeonApiError', status: 404 });
  });
});

describe('a branch', () => {
  const databases = { ...USUAL, 'br-dev': [{ name: 'neondb', owner: 'neondb_owner' }] };

  test.each(['br-dev', 'dev'])('is found by %s', async (branch) => {
    const neon = fakeNeon({ branches: [MAIN, DEV], databases });
    expect(await findDatabase(neon, wanted({ branch }))).toMatchObject({
      branchId: 'br-dev',
      uri: 'postgresql://neondb_owner:pw@p-1.br-dev/neondb',
    });
    expect(neon.asked).toStrictEqual(['branches', 'uri br-dev neondb neondb_owner']);
  });

  test('is found by its id before one that has this id as its name', async () => {
    const impostor: Branch = { id: 'br-other', name: 'br-dev', isDefault: false };
    const neon = fakeNeon({ branches: [impostor, MAIN, DEV], databases });
    expect(await findDatabase(neon, wanted({ branch: 'br-dev' }))).toMatchObject({ branchId: 'br-dev' });
  });

  test('that is not there is an error that lists what is', async () => {
    const neon = fakeNeon({ branches: [MAIN, DEV], databases });
    await expect(findDatabase(neon, wanted({ branch: 'Dev' }))).rejects.toMatchObject({
      message: 'the project p-1 has no branch "Dev"',
      hint: 'It has "main" (br-main), "dev" (br-dev). Set the input branch.',
    });
  });

  test('is the one whose databases are looked up', async () => {
    const neon = fakeNeon({ branches: [MAIN, DEV], databases: { ...USUAL, 'br-dev': [{ name: 'app', owner: 'a' }] } });
    expect(await findDatabase(neon, wanted({ branch: 'dev' }))).toMatchObject({ database: 'app', branchId: 'br-dev' });
    expect(neon.asked).toContain('databases br-dev');
    expect(neon.asked).not.toContain('databases br-main');
  });
});
