import { describe, expect, test } from '@jest/globals';

import { ExplainedError } from '../../../src/errors/index.js';
import { discoverTenants, outcomeSchema, tenantOf, verdictOf } from '../../../src/fleet/index.js';
import { listing, project } from '../../support/builders.js';

const NOW = new Date('2026-11-02T03:04:05.678Z');

function discover(names: readonly string[], unavailable: readonly string[], ...patterns: string[]) {
  const { tenants, settled } = discoverTenants(listing(names, unavailable), patterns, {}, NOW);
  return { tenants: tenants.map(({ name }) => name), unlisted: settled.map(({ projectId }) => projectId) };
}

describe('a whole list', () => {
  test('gives the tenants that are selected', () => {
    expect(discover(['acme', 'beta'], [], '*', '!beta')).toStrictEqual({ tenants: ['acme'], unlisted: [] });
  });

  test.each<[string, string[], RegExp]>([
    ['nothing matches', ['acmee'], /no project matches "acmee"; nothing was done/],
    ['one of several matches nothing', ['acme', 'acmee', 'x*'], /no project matches "acmee", "x\*"; nothing was done/],
    ['only exclusions', ['!acme'], /select nobody; nothing was done/],
    ['everybody is taken out', ['*', '!*'], /select nobody; nothing was done/],
    ['a name to be taken out fits nobody', ['*', '!acmee'], /no project matches "!acmee"; nothing was done/],
    ['both kinds fit nobody', ['x*', 'acme', '!p-7'], /no project matches "x\*", "!p-7"; nothing was done/],
  ])('is refused when %s', (_, patterns, message) => {
    const act = () => discover(['acme', 'beta'], [], ...patterns);
    expect(act).toThrow(ExplainedError);
    expect(act).toThrow(message);
  });

  test('tells of globs that take nobody out, and of no others', () => {
    const patterns = ['*', '!stagign-*', '! [xy]*', '!b*', '!{c,d}'];
    const { tenants, idleExclusions } = discoverTenants(listing(['acme', 'beta'], []), patterns, {}, NOW);
    expect(tenants.map(({ name }) => name)).toStrictEqual(['acme']);
    expect(idleExclusions).toStrictEqual(['!stagign-*', '! [xy]*', '!{c,d}']);
  });

  test('lets a name be taken out that looks like a glob', () => {
    const { tenants, idleExclusions } = discoverTenants(listing(['a[b]', 'beta'], []), ['*', '!a[b]'], {}, NOW);
    expect(tenants.map(({ name }) => name)).toStrictEqual(['beta']);
    expect(idleExclusions).toStrictEqual([]);
  });

  test('names what there is, but not a whole fleet', () => {
    const names = Array.from({ length: 5_000 }, (_, index) => `tenant-${index}`);
    expect(() => discover(names, [], 'acme')).toThrow(
      expect.objectContaining({ hint: expect.stringMatching(/"tenant-0" \(p-0\), .* and 4990 more\.$/) }),
    );
  });

  test('that is empty asks for the right key', () => {
    expect(() => discover([], [], '*')).toThrow(
      expect.objectContaining({ hint: expect.stringContaining('neon-org-id') }),
    );
  });
});

describe('a partial list', () => {
  test('accounts for what Neon could not describe', () => {
    const found = discoverTenants(listing(['acme'], ['p-lost']), ['*'], { database: 'app' }, NOW);
    expect(found.settled).toStrictEqual([
      {
        projectId: 'p-lost',
        name: 'p-lost',
        database: 'app',
        attempts: 0,
        startedAt: '2026-11-02T03:04:05.678Z',
        durationMs: 0,
        status: 'skipped',
        reason: 'unlisted',
        detail: expect.stringContaining('run again'),
      },
    ]);
    expect(found.settled.map((one) => outcomeSchema.safeParse(one).success)).toStrictEqual([true]);
    expect(verdictOf(found.settled)).toBe('incomplete');
  });

  test.each<[string, string[], { tenants: string[]; unlisted: string[] }]>([
    [
      'does not refuse a name to be taken out that may be among the missing',
      ['acme', '!beta', '!x*'],
      { tenants: ['acme'], unlisted: ['p-8', 'p-9'] },
    ],
    ['does not refuse a name that may be among the missing', ['beta'], { tenants: [], unlisted: ['p-8', 'p-9'] }],
    ['leaves out an id that is excluded', ['*', '!p-9'], { tenants: ['acme'], unlisted: ['p-8'] }],
    ['leaves out ids by glob', ['*', '!p-[89]'], { tenants: ['acme'], unlisted: [] }],
  ])('%s', (_, patterns, expected) => {
    expect(discover(['acme'], ['p-8', 'p-9'], ...patterns)).toStrictEqual(expected);
  });

  test.each<[string, string[]]>([
    ['a name that matches nothing', ['beta', '!p-9']],
    ['nobody at all', ['*', '!*']],
    ['a name to be taken out that fits nobody', ['*', '!p-9', '!p-10']],
  ])('of which all that is missing is excluded refuses %s', (_, patterns) => {
    expect(() => discover(['acme'], ['p-9'], ...patterns)).toThrow(ExplainedError);
  });
});

describe('the project of the catalog', () => {
  test('takes no part, whatever selects it', () => {
    const everybody = discoverTenants(listing(['acme', 'beta']), ['*'], {}, NOW);
    const catalogProject = everybody.tenants[1]?.projectId;
    const context = { catalogProject };
    expect(
      discoverTenants(listing(['acme', 'beta']), ['*'], {}, NOW, context).tenants.map(({ name }) => name),
    ).toStrictEqual(['acme']);
    expect(() => discoverTenants(listing(['acme', 'beta']), ['beta'], {}, NOW, context)).toThrow(/no project matches/);
    // Whoever takes it out by name is right.
    expect(
      discoverTenants(listing(['acme', 'beta']), ['*', '!beta'], {}, NOW, context).tenants.map(({ name }) => name),
    ).toStrictEqual(['acme']);
  });

  test('is not missed when Neon cannot describe it', () => {
    const context = { catalogProject: 'p-9' };
    expect(discoverTenants(listing(['acme'], ['p-9']), ['*'], {}, NOW, context).settled).toStrictEqual([]);
  });
});

describe('a tenant', () => {
  test('is where Neon puts it when nobody says otherwise', () => {
    expect(tenantOf(project())).toStrictEqual({
      key: 'ACME Corp',
      name: 'ACME Corp',
      projectId: 'misty-river-12345678',
      regionId: 'aws-us-east-1',
      pgVersion: 17,
      database: 'neondb',
      role: 'neondb_owner',
      assumed: { database: true, role: true },
      labels: {},
    });
  });

  test('is where the inputs say', () => {
    expect(tenantOf(project(), { branch: 'main', database: 'neondb', role: 'app' })).toMatchObject({
      branch: 'main',
      database: 'neondb',
      role: 'app',
      // The name is Neon's own, but somebody spelled it out.
      assumed: { database: false, role: false },
    });
  });
});
