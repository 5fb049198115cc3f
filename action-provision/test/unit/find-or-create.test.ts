import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { ExplainedError } from '@neon-fleet/shared/errors';
import { StoppedError } from '@neon-fleet/shared/fleet';
import { NeonApiError, type NewProject, type Operation, type ProjectRef } from '@neon-fleet/shared/neon';

import { findOrCreate, onlyProjectNamed, searchTerm } from '../../src/find-or-create.js';

function project(name: string, projectId: string, overrides: Partial<ProjectRef> = {}): ProjectRef {
  return { projectId, name, regionId: 'aws-us-east-1', pgVersion: 17, createdAt: '2026-01-01T00:00:00Z', ...overrides };
}

function operation(status: string, id = 'op-1'): Operation {
  return { id, action: 'create_timeline', status };
}

function failure(status: number | undefined): NeonApiError {
  return new NeonApiError('createProject', {
    answerLost: status === undefined,
    ...(status === undefined ? { systemCode: 'ECONNRESET', message: 'socket hang up' } : { status }),
  });
}

interface World {
  readonly projects?: readonly ProjectRef[];
  /** Ids that the list cannot describe, for each time it is asked for; the last for ever. */
  readonly unavailable?: readonly (readonly string[])[];
  readonly operations?: readonly Operation[];
  /** What a creation throws instead of answering. */
  readonly createThrows?: Error;
  /** Whether the project is made all the same. */
  readonly madeAllTheSame?: boolean;
  /** How many looks it takes until a new project shows in the list. */
  readonly showsAfter?: number;
  /** A project that somebody else makes meanwhile. */
  readonly rival?: ProjectRef;
}

/** Neon as far as it is needed here: it has projects, and remembers what it was asked. */
function fakeNeon(world: World = {}) {
  const asked: string[] = [];
  const notes: string[] = [];
  const projects = [...(world.projects ?? [])];
  const coming: ProjectRef[] = [];
  let listed = 0;
  let looksSinceCreation = 0;
  const neon = {
    listProjects: (search?: string) => {
      asked.push(`list ${search ?? '*'}`);
      const unavailable = world.unavailable ?? [[]];
      const unavailableProjectIds = unavailable[Math.min(listed++, unavailable.length - 1)] ?? [];
      if (coming.length > 0 && looksSinceCreation++ >= (world.showsAfter ?? 0)) projects.push(...coming.splice(0));
      // As Neon does it: part of a name or id, whatever the case.
      const wanted = (search ?? '').toLowerCase();
      const found = projects.filter(({ name, projectId }) => `${name}\n${projectId}`.toLowerCase().includes(wanted));
      return Promise.resolve({
        projects: found.filter(({ projectId }) => !unavailableProjectIds.includes(projectId)),
        unavailableProjectIds,
      });
    },
    createProject: ({ name, regionId, pgVersion }: NewProject) => {
      asked.push(`create ${name}`);
      const made = project(name, 'p-new', {
        ...(regionId === undefined ? {} : { regionId }),
        ...(pgVersion === undefined ? {} : { pgVersion }),
      });
      if (world.createThrows === undefined || world.madeAllTheSame === true) coming.push(made);
      if (world.rival !== undefined) coming.push(world.rival);
      return world.createThrows === undefined
        ? Promise.resolve({ project: made, operations: [operation('running')] })
        : Promise.reject(world.createThrows);
    },
    listOperations: (projectId: string) => {
      asked.push(`operations ${projectId}`);
      return Promise.resolve([...(world.operations ?? [])]);
    },
    getOperation: (projectId: string, id: string) => {
      asked.push(`operation ${projectId} ${id}`);
      return Promise.resolve(operation('finished', id));
    },
  };
  const find = (wanted: string | NewProject, signal = new AbortController().signal) =>
    findOrCreate(neon, typeof wanted === 'string' ? { name: wanted } : wanted, {
      signal,
      note: (line) => notes.push(line),
      lookAgainAfterMs: [0, 1, 1],
    });
  const creations = () => asked.filter((text) => text.startsWith('create '));
  return { neon, asked, notes, find, creations };
}

describe('a project that exists', () => {
  test('is found by its exact name, and nothing is created', async () => {
    const acme = project('ACME', 'p-1');
    const { find, asked } = fakeNeon({ projects: [project('acme', 'p-0'), acme, project('ACME Corp', 'p-2')] });
    expect(await find('ACME')).toStrictEqual({ project: acme, created: false });
    expect(asked).toStrictEqual(['list ACME', 'operations p-1']);
  });

  test('is not taken for one of which its name is a part', async () => {
    const { find, creations } = fakeNeon({ projects: [project('ACME Corp', 'p-1'), project('x', 'ACME')] });
    expect(await find('ACME')).toMatchObject({ project: { projectId: 'p-new' }, created: true });
    expect(creations()).toHaveLength(1);
  });

  test('whose creation was interrupted is waited for', async () => {
    const { find, asked } = fakeNeon({
      projects: [project('ACME', 'p-1')],
      operations: [
        operation('running', 'a'),
        operation('scheduling', 'b'),
        operation('error', 'c'),
        operation('failed', 'd'),
      ],
    });
    expect(await find('ACME')).toMatchObject({ created: false });
    expect(asked).toStrictEqual(['list ACME', 'operations p-1', 'operation p-1 a', 'operation p-1 b']);
  });

  test('twice is an error that lists both', async () => {
    const { find, asked } = fakeNeon({ projects: [project('ACME', 'p-1'), project('ACME', 'p-2')] });
    await expect(find('ACME')).rejects.toMatchObject({
      name: 'ExplainedError',
      message: '2 projects are called "ACME": p-1, p-2',
    });
    expect(asked).toStrictEqual(['list ACME']);
  });

  test('is used although the list is partial: it is the one that has the name', async () => {
    const { find } = fakeNeon({ projects: [project('ACME', 'p-1')], unavailable: [['p-9']] });
    expect(await find('ACME')).toMatchObject({ project: { projectId: 'p-1' }, created: false });
  });

  test.each<[Partial<NewProject>, RegExp]>([
    [{ regionId: 'aws-eu-central-1' }, /it is in aws-us-east-1, not in aws-eu-central-1; neither/],
    [{ pgVersion: 16 }, /it runs PostgreSQL 17, not 16; neither/],
    [{ regionId: 'aws-eu-central-1', pgVersion: 16 }, /aws-eu-central-1 and it runs PostgreSQL 17, not 16; neither/],
  ])('and differs in what cannot be changed, %j, is an error', async (differing, message) => {
    const { find, creations } = fakeNeon({ projects: [project('ACME', 'p-1')] });
    await expect(find({ name: 'ACME', ...differing })).rejects.toThrow(message);
    expect(creations()).toStrictEqual([]);
  });

  test.each<Partial<NewProject>>([
    {},
    { regionId: 'aws-us-east-1', pgVersion: 17 },
    { branch: 'main', database: 'app' },
  ])('and is as wanted, %j, is fine', async (same) => {
    const { find } = fakeNeon({ projects: [project('ACME', 'p-1')] });
    expect(await find({ name: 'ACME', ...same })).toMatchObject({ created: false });
  });
});

describe('a project that does not exist', () => {
  test('is created once, and its operations are waited for', async () => {
    const { find, asked, notes } = fakeNeon();
    const wanted = { name: 'ACME', regionId: 'aws-eu-central-1', pgVersion: 16 };
    expect(await find(wanted)).toStrictEqual({
      project: project('ACME', 'p-new', { regionId: 'aws-eu-central-1', pgVersion: 16 }),
      created: true,
    });
    expect(asked.slice(0, 3)).toStrictEqual(['list ACME', 'create ACME', 'operation p-new op-1']);
    expect(notes).toStrictEqual(['Created project p-new']);
  });

  test('is not created while the list is partial: it may be among the missing', async () => {
    const { find, creations } = fakeNeon({ projects: [project('ACME', 'p-9')], unavailable: [['p-8', 'p-9']] });
    await expect(find('ACME')).rejects.toMatchObject({
      name: 'ExplainedError',
      message: expect.stringMatching(/"ACME" exists is not certain: .* p-8, p-9; nothing was created/),
    });
    expect(creations()).toStrictEqual([]);
  });

  test('and is created by somebody else at the same time is an error that lists both', async () => {
    const { find, creations } = fakeNeon({ rival: project('ACME', 'p-rival') });
    await expect(find('ACME')).rejects.toThrow('2 projects are called "ACME": p-new, p-rival');
    expect(creations()).toHaveLength(1);
  });
});

describe('two creations at the same instant', () => {
  /** Two processes with one Neon: what either makes shows to both after so many looks at the list. */
  async function race(ids: readonly [string, string], createdAt: string, showsAfter: number) {
    const projects: ProjectRef[] = [];
    const removed: string[] = [];
    let looks = 0;
    const running = ids.map((mine) => {
      const listProjects = () => {
        const isShown = projects.length === ids.length && looks++ >= showsAfter;
        return Promise.resolve({ projects: isShown ? [...projects] : [], unavailableProjectIds: [] });
      };
      const createProject = ({ name }: NewProject) => {
        projects.push(project(name, mine, { createdAt }));
        return Promise.resolve({ project: project(name, mine, { createdAt }), operations: [] });
      };
      const ownership = {
        isMine: ({ projectId }: ProjectRef) => Promise.resolve(projectId === mine),
        remove: ({ projectId }: ProjectRef) => {
          projects.splice(0, projects.length, ...projects.filter((each) => each.projectId !== projectId));
          // The place of the one that is gone, so that the list goes on showing.
          projects.push(project('somebody else', 'p-other'));
          removed.push(projectId);
          return Promise.resolve();
        },
      };
      const api = {
        listProjects,
        createProject,
        listOperations: () => Promise.resolve([]),
        getOperation: (_: string, id: string) => Promise.resolve(operation('finished', id)),
      };
      const { signal } = new AbortController();
      const lookAgainAfterMs = Array.from({ length: 12 }, () => 1);
      return findOrCreate(api, { name: 'ACME' }, { signal, note: () => undefined, lookAgainAfterMs, ownership });
    });
    return { found: await Promise.all(running), removed };
  }

  test.each(['2026-01-01T00:00:00Z', '2026-01-01T00:00:00.123Z'])(
    '(%s) leave the one with the smaller id, and both processes go on with it',
    async (createdAt) => {
      for (const ids of [
        ['p-a', 'p-b'],
        ['p-b', 'p-a'],
      ] as const) {
        for (const showsAfter of [0, 1, 2, 5]) {
          const { found, removed } = await race(ids, createdAt, showsAfter);
          expect(found.map((each) => each.project.projectId)).toEqual(['p-a', 'p-a']);
          expect(found.map(({ created }) => created)).toEqual(ids.map((id) => id === 'p-a'));
          expect(removed).toEqual(['p-b']);
        }
      }
    },
  );
});

describe('a creation without an answer', () => {
  const unclear = [undefined, 408, 500, 502, 504];

  test.each(unclear)('(%s) that was carried out is found, and not repeated', async (status) => {
    const { find, creations, notes } = fakeNeon({ createThrows: failure(status), madeAllTheSame: true });
    expect(await find('ACME')).toMatchObject({ project: { projectId: 'p-new' }, created: true });
    expect(creations()).toHaveLength(1);
    expect(notes.at(-1)).toBe('It was: project p-new');
  });

  test('is looked for until it shows, and its operations are waited for', async () => {
    const { find, asked } = fakeNeon({
      createThrows: failure(undefined),
      madeAllTheSame: true,
      showsAfter: 2,
      operations: [operation('running', 'a')],
    });
    expect(await find('ACME')).toMatchObject({ project: { projectId: 'p-new' } });
    expect(asked).toStrictEqual([
      'list ACME',
      'create ACME',
      ...Array.from({ length: 3 }, () => 'list ACME'),
      'operations p-new',
      'operation p-new a',
    ]);
  });

  test.each(unclear)('(%s) that was not carried out is an error, and not repeated', async (status) => {
    const { find, creations } = fakeNeon({ createThrows: failure(status) });
    await expect(find('ACME')).rejects.toMatchObject({
      name: 'ExplainedError',
      message: expect.stringMatching(
        /^Neon API, createProject: .*; the project did not appear in the list afterwards$/,
      ),
      code: status === undefined ? 'ECONNRESET' : `HTTP ${status}`,
      hint: expect.stringContaining('nothing is created twice'),
    });
    expect(creations()).toHaveLength(1);
  });

  test('is not taken for done when the list has become partial', async () => {
    const { find, creations } = fakeNeon({
      createThrows: failure(undefined),
      madeAllTheSame: true,
      unavailable: [[], ['p-new']],
    });
    await expect(find('ACME')).rejects.toThrow(/did not appear/);
    expect(creations()).toHaveLength(1);
  });

  test('beside somebody else’s is an error that lists both', async () => {
    const rival = project('ACME', 'p-rival');
    const { find, creations } = fakeNeon({ createThrows: failure(504), madeAllTheSame: true, rival });
    await expect(find('ACME')).rejects.toThrow('2 projects are called "ACME": p-new, p-rival');
    expect(creations()).toHaveLength(1);
  });

  test('is not looked for after the stop', async () => {
    const stop = new AbortController();
    const { find, asked, neon } = fakeNeon({ createThrows: failure(undefined), madeAllTheSame: true });
    const create = neon.createProject;
    neon.createProject = (wanted) => {
      stop.abort(new StoppedError('cancelled'));
      return create(wanted);
    };
    await expect(find('ACME', stop.signal)).rejects.toThrow();
    expect(asked).toStrictEqual(['list ACME', 'create ACME']);
  });
});

describe('a creation that was refused', () => {
  test.each([400, 401, 403, 409, 422, 423, 429, 503])('with %d is not looked for', async (status) => {
    const refused = failure(status);
    const { find, asked } = fakeNeon({ createThrows: refused });
    await expect(find('ACME')).rejects.toBe(refused);
    expect(asked).toStrictEqual(['list ACME', 'create ACME']);
  });

  test('with an answer that nobody understands is not repeated', async () => {
    const odd = new ExplainedError({ message: 'the answer is not what the API documents' });
    const { find, creations } = fakeNeon({ createThrows: odd, madeAllTheSame: true });
    await expect(find('ACME')).rejects.toBe(odd);
    expect(creations()).toHaveLength(1);
  });
});

test('whatever happens, there is at most one creation, and a second run finds what the first one made', async () => {
  const name = fc.constantFrom('ACME', 'ACME Corp', '(a|b)', '%', '🦊', 'p-new');
  const status = fc.constantFrom(undefined, 400, 408, 423, 429, 500, 502, 503, 504);
  await fc.assert(
    fc.asyncProperty(name, fc.option(status), fc.boolean(), fc.nat(4), async (wanted, fails, made, showsAfter) => {
      const world = fakeNeon({
        ...(fails === null ? {} : { createThrows: failure(fails) }),
        madeAllTheSame: made,
        showsAfter,
      });
      const first = await world.find(wanted).catch(() => undefined);
      expect(world.creations()).toHaveLength(1);
      if (first !== undefined) expect(first).toMatchObject({ created: true, project: { name: wanted } });
      // Until it shows in the list nobody can know that it is there.
      for (let look = 0; look <= showsAfter; look++) await world.neon.listProjects();
      if (fails === null || made) {
        expect(await world.find(wanted)).toMatchObject({ created: false, project: { projectId: 'p-new' } });
        expect(world.creations()).toHaveLength(1);
      }
    }),
    { numRuns: 60 },
  );
});

describe('the search', () => {
  test.each([
    ['ACME', 'ACME'],
    ['ACME Corp 2.0_x-y', 'ACME Corp 2.0_x-y'],
    ['7', '7'],
    ['Müller', undefined],
    ['🦊', undefined],
    ['100%', undefined],
    ['a*', undefined],
    ["it's", undefined],
    ['a&b=c', undefined],
    ['a/b', undefined],
    ['-a', undefined],
    [' a', undefined],
    ['', undefined],
  ])('for %j is narrowed by %j', (name, term) => {
    expect(searchTerm(name)).toBe(term);
  });

  test('for an unusual name reads the whole list', async () => {
    const { find, asked } = fakeNeon({ projects: [project('100% (Müller)', 'p-1')] });
    expect(await find('100% (Müller)')).toMatchObject({ created: false });
    expect(asked[0]).toBe('list *');
  });
});

test('names are compared as they are: case, blanks and accents count', () => {
  const projects = [project('acme', 'p-0'), project('ACME ', 'p-1'), project('M\u00fcller', 'p-2')];
  for (const name of ['ACME', 'acme ', 'Mu\u0308ller']) {
    expect(onlyProjectNamed(name, { projects, unavailableProjectIds: [] })).toBeUndefined();
  }
  expect(onlyProjectNamed('acme', { projects, unavailableProjectIds: [] })?.projectId).toBe('p-0');
});
