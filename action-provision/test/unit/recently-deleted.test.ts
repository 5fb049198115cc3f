import { describe, expect, test } from '@jest/globals';

import { NeonApiError, type ProjectState } from '@neon-fleet/shared/neon';

import type { TenantStep } from '../../src/plan.js';
import { withoutRecreations } from '../../src/recently-deleted.js';
import { desired, state } from '../support.js';

const NOW = new Date('2026-11-25T12:00:00Z');
const creation = (key: string): TenantStep => ({ step: 'create', tenant: desired(key), settings: [] });

function manage(answer: readonly ProjectState[] | NeonApiError) {
  const asked: unknown[] = [];
  return {
    asked,
    listStates: (options?: object) => {
      asked.push(options);
      if (answer instanceof NeonApiError) return Promise.reject(answer);
      return Promise.resolve({ projects: answer, unavailableProjectIds: [] });
    },
  };
}

const deleted = (name: string, id: string, recoverableUntil: string) => state(name, id, { recoverableUntil });

describe('a tenant whose project was deleted', () => {
  test('gets no new one as long as the old one can be recovered', async () => {
    const neon = manage([
      deleted('ACME', 'p-older', '2026-11-27T00:00:00Z'),
      deleted('ACME', 'p-newer', '2026-11-30T00:00:00Z'),
      deleted('acme inc', 'p-alike', '2026-11-30T00:00:00Z'),
      deleted('LONG', 'p-long-ago', '2026-11-25T11:59:59Z'),
    ]);
    const unchanged: TenantStep = { step: 'unchanged', tenant: desired('here'), project: state('HERE', 'p-here') };
    const steps = await withoutRecreations(neon, [creation('acme'), creation('long'), unchanged], NOW);
    expect(steps).toMatchObject([{ step: 'refuse', projectId: 'p-newer' }, creation('long'), unchanged]);
    const [first] = steps;
    if (first?.step !== 'refuse') throw new Error('it was not refused');
    expect(first.error.message).toContain('can be recovered until 2026-11-30T00:00:00Z');
    // One listing, however many are to be created.
    expect(neon.asked).toEqual([{ deleted: true }]);
  });

  test('is not asked about when nothing is to be created', async () => {
    const neon = manage([]);
    await withoutRecreations(
      neon,
      [{ step: 'unchanged', tenant: desired('here'), project: state('HERE', 'p-here') }],
      NOW,
    );
    expect(neon.asked).toEqual([]);
  });

  test('is made anew where the account has no list of deleted projects; any other failure is one', async () => {
    const failure = (status: number) => new NeonApiError('listProjects', { answerLost: false, status });
    expect(await withoutRecreations(manage(failure(403)), [creation('acme')], NOW)).toEqual([creation('acme')]);
    await expect(withoutRecreations(manage(failure(500)), [creation('acme')], NOW)).rejects.toThrow(/HTTP 500/);
  });
});
