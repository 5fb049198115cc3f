import { describe, expect, test } from '@jest/globals';

import { discoverMembers, memberNamed, parseFleetFile, resolveFleet } from '../../../src/fleet/index.js';
import { listing } from '../../support/builders.js';

const NOW = new Date('2026-11-02T03:04:05.678Z');

function discover(text: string, names: readonly string[], unavailable: readonly string[] = [], patterns?: string[]) {
  const file = parseFleetFile(text);
  const fleet = { members: resolveFleet(file), ignored: file.ignored };
  return discoverMembers(listing(names, unavailable), fleet, patterns, {}, NOW);
}

const FILE = `
defaults: { backup: { every: 24h } }
tenants:
  - { key: acme, name: ACME, labels: { tier: gold } }
  - { key: moved, name: New Name, project-id: p-1 }
ignored: ['staging-*']
`;

describe('the tenants of a fleet file', () => {
  test('are found by id, else by exact name, and bring their settings; strangers are told apart from the ignored', () => {
    const { tenants, settled, strangers } = discover(FILE, ['ACME', 'Old Name', 'staging-1', 'Who']);
    expect(
      tenants.map(({ key, name, projectId, labels, backup }) => ({ key, name, projectId, labels, backup })),
    ).toEqual([
      { key: 'acme', name: 'ACME', projectId: 'p-0', labels: { tier: 'gold' }, backup: { every: 86_400 } },
      { key: 'moved', name: 'Old Name', projectId: 'p-1', labels: {}, backup: { every: 86_400 } },
    ]);
    expect(settled).toEqual([]);
    expect(strangers.map(({ name }) => name)).toEqual(['Who']);
  });

  test('do not include the project that the catalog is in, and nobody is told to add it', () => {
    const fleet = { members: resolveFleet(parseFleetFile(FILE)), ignored: [] };
    const found = discoverMembers(listing(['ACME', 'moved', 'the catalog', 'Who']), fleet, undefined, {}, NOW, {
      catalogProject: 'p-2',
    });
    expect(found.strangers.map(({ name }) => name)).toEqual(['Who']);
  });

  test('without a project are accounted for', () => {
    const gone = discover(FILE, ['ACME']).settled;
    expect(gone).toEqual([expect.objectContaining({ projectId: 'p-1', status: 'skipped', reason: 'gone' })]);
    const unlisted = discover(FILE, ['ACME'], ['p-1']).settled;
    expect(unlisted).toEqual([expect.objectContaining({ projectId: 'p-1', reason: 'unlisted', name: 'New Name' })]);
    expect(discover(FILE, ['x', 'y']).settled).toEqual([expect.objectContaining({ name: 'ACME', status: 'failed' })]);
    expect(discover(FILE, ['ACME', 'y', 'ACME']).settled[0]).toMatchObject({
      detail: expect.stringContaining('2 projects called'),
    });
  });

  test('are narrowed by key, name and id, and a pattern for nobody is refused', () => {
    const keys = (...patterns: string[]) => discover(FILE, ['ACME', 'y'], [], patterns).tenants.map(({ key }) => key);
    expect(keys('moved')).toEqual(['moved']);
    expect(keys('*', '!p-1')).toEqual(['acme']);
    expect(() => keys('y')).toThrow(/nobody in the fleet file matches "y"; nothing was done/);
    expect(() => keys('*', '!nobody')).toThrow(/matches "!nobody"/);
  });
});

describe('somebody of the fleet file', () => {
  const file = parseFleetFile(`
tenants:
  - { key: acme, name: payroll }
  - { key: payroll, name: Payroll Inc }
  - { key: p-9, name: Nine }
  - { key: nine, name: Old Nine, project-id: p-9 }
  - { key: moved, name: Moved, project-id: p-1 }
`);
  const fleet = { members: resolveFleet(file), ignored: [] };

  test.each([
    ['acme', 'acme'],
    ['payroll', 'payroll'],
    ['Payroll Inc', 'payroll'],
    ['p-9', 'p-9'],
    ['p-1', 'moved'],
    ['Moved', 'moved'],
    ['ACME', undefined],
  ])('is meant by %j', (tenant, key) => {
    expect(memberNamed(fleet, tenant)?.key).toBe(key);
  });

  test('is nobody without a file', () => {
    expect(memberNamed(undefined, 'acme')).toBeUndefined();
  });
});
