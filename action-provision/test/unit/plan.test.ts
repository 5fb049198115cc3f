import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import type { DesiredTenant } from '@neon-fleet/shared/fleet';
import type { ProjectState } from '@neon-fleet/shared/neon';

import { countSteps, planProvision, type PlanSource, type ProvisionPlan } from '../../src/plan.js';
import { desired, state } from '../support.js';

function plan(
  tenants: readonly DesiredTenant[],
  projects: readonly ProjectState[],
  rest: Partial<PlanSource> & { unavailable?: readonly string[] } = {},
): ProvisionPlan {
  const { unavailable = [], ...source } = rest;
  return planProvision({
    desired: tenants,
    ignored: [],
    listing: { projects, unavailableProjectIds: unavailable },
    ...source,
  });
}

function steps(result: ProvisionPlan): string[] {
  return result.steps.map((step) => {
    const id = 'project' in step ? ` ${step.project.projectId}` : '';
    return `${step.tenant.key} ${step.step}${id}${step.step === 'refuse' ? `: ${step.error.message}` : ''}`;
  });
}

describe('a plan', () => {
  test('creates what is missing, and finds by exact name', () => {
    const result = plan([desired('a'), desired('b')], [state('A', 'p-a'), state('b', 'p-lower')]);
    expect(steps(result)).toStrictEqual(['a unchanged p-a', 'b create']);
    expect(result.unlisted.map(({ projectId }) => projectId)).toStrictEqual(['p-lower']);
  });

  test('finds by id first, and renames', () => {
    const result = plan([desired('a', { projectId: 'p-1' })], [state('Old', 'p-1')]);
    expect(result.steps).toMatchObject([
      { step: 'update', project: { projectId: 'p-1' }, changes: [{ setting: 'name', from: '"Old"', to: '"A"' }] },
    ]);
  });

  test('finds by what the catalog recorded, under any name', () => {
    const result = plan([desired('a')], [state('Old', 'p-1')], { knownIds: new Map([['a', 'p-1']]) });
    expect(steps(result)).toStrictEqual(['a update p-1']);
  });

  test('lets two tenants exchange their names', () => {
    const result = plan(
      [desired('a', { projectId: 'p-a', name: 'X' }), desired('b', { projectId: 'p-b', name: 'Y' })],
      [state('Y', 'p-a'), state('X', 'p-b')],
    );
    expect(steps(result)).toStrictEqual(['a update p-a', 'b update p-b']);
  });

  test.each<[string, readonly DesiredTenant[], readonly ProjectState[], Parameters<typeof plan>[2], RegExp]>([
    [
      'two of one name',
      [desired('a')],
      [state('A', 'p-1'), state('A', 'p-2')],
      {},
      /2 projects are called "A": p-1, p-2/,
    ],
    [
      'an id that is gone',
      [desired('a', { projectId: 'p-1' })],
      [state('A', 'p-2')],
      {},
      /p-1 .* is not there; nothing was created/,
    ],
    ['an id that is not described', [desired('a', { projectId: 'p-1' })], [], { unavailable: ['p-1'] }, /not certain/],
    ['a partial list', [desired('a')], [], { unavailable: ['p-9'] }, /not certain: .* p-9; nothing was done/],
    [
      'a new name that a stranger has',
      [desired('a', { projectId: 'p-1' })],
      [state('Old', 'p-1'), state('A', 'p-2')],
      {},
      /the name "A" is that of p-2/,
    ],
    [
      'a name that belongs to another tenant until it is renamed',
      [desired('a', { projectId: 'p-1', name: 'New' }), desired('b', { name: 'Old' })],
      [state('Old', 'p-1')],
      {},
      /the name "Old" is that of p-1/,
    ],
    [
      'another region',
      [desired('a', {}, { region: 'aws-eu-central-1' })],
      [state('A', 'p-1')],
      {},
      /in aws-us-east-1, not in/,
    ],
    [
      'replication that cannot be turned off',
      [desired('a', {}, { 'logical-replication': false })],
      [state('A', 'p-1', { settings: { enable_logical_replication: true } })],
      {},
      /cannot be turned off again/,
    ],
    [
      'a changed name',
      [desired('a')],
      [state('Former', 'p-1')],
      { madeFor: new Map([['a', 'p-1']]) },
      /made for the key "a"/,
    ],
  ])('refuses %s', (_, tenants, projects, rest, message) => {
    const result = plan(tenants, projects, rest);
    const refused = steps(result).filter((text) => text.includes(' refuse'));
    expect(refused).toHaveLength(1);
    expect(refused[0]).toMatch(message);
    expect(countSteps(result).create).toBe(0);
  });

  test('tells ignored projects from those that nobody knows', () => {
    const result = plan([desired('a')], [state('A', 'p-a'), state('staging-1', 'p-s'), state('x', 'p-x')], {
      ignored: ['staging-*', 'p-s'],
    });
    expect(result.ignored).toMatchObject([{ project: { projectId: 'p-s' }, glob: 'staging-*' }]);
    expect(result.unlisted.map(({ projectId }) => projectId)).toStrictEqual(['p-x']);
  });

  test('never creates a tenant that is there, never uses a project twice, and accounts for every project', () => {
    const name = fc.constantFrom('A', 'B', 'C', 'D');
    const id = fc.constantFrom('p-1', 'p-2', 'p-3', 'p-4');
    const projects = fc.uniqueArray(fc.record({ id, name }), { selector: (each) => each.id });
    const tenants = fc
      .uniqueArray(fc.record({ key: fc.constantFrom('a', 'b', 'c'), name, id: fc.option(id) }), {
        selector: (each) => each.key,
      })
      .filter((all) => new Set(all.map((each) => each.name)).size === all.length)
      .filter((all) => {
        const ids = all.flatMap((each) => each.id ?? []);
        return new Set(ids).size === ids.length;
      });
    fc.assert(
      fc.property(projects, tenants, (there, wanted) => {
        const result = plan(
          wanted.map((each) =>
            desired(each.key, { name: each.name, ...(each.id === null ? {} : { projectId: each.id }) }),
          ),
          there.map((each) => state(each.name, each.id)),
        );
        const used = result.steps.flatMap((step) => ('project' in step ? [step.project.projectId] : []));
        expect(new Set(used).size).toBe(used.length);
        for (const step of result.steps) {
          if (step.step === 'create') expect(there.map((each) => each.name)).not.toContain(step.tenant.name);
        }
        const after = there
          .map(
            (each) => result.steps.find((step) => 'project' in step && step.project.projectId === each.id)?.tenant.name,
          )
          .filter((each) => each !== undefined);
        expect(new Set(after).size).toBe(after.length);
      }),
    );
  });
});
