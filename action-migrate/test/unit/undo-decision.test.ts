import { describe, expect, test } from '@jest/globals';
import type { Standing } from '@neon-fleet/shared/drizzle';
import type { MigrationRecord, Outcome, RestorePoint, Tenant } from '@neon-fleet/shared/fleet';
import type { Branch } from '@neon-fleet/shared/neon';

import { decideUndo } from '../../src/restore-point/undo-decision.js';
import { undoableTenants } from '../../src/restore-point/undo-tenant.js';

const point: RestorePoint = { kind: 'lsn', host: 'ep-1.example', lsn: '0/1A2', takenAt: '2026-11-02T03:00:00.000Z' };
const OCCASION = 'undo-plan-1-0-1A2';
const WORKED_ON = '2026-11-02T03:00:00.500Z';
const BEFORE = '2026-11-02T02:59:59.000Z';
const AFTER = '2026-11-02T03:05:00.000Z';

const rolledOut = (migration: Partial<MigrationRecord>) => ({
  migration: { from: '0000', applied: [], restorePoint: point, ...migration },
  workedOnAt: WORKED_ON,
});
const seen = (...applied: string[]): Standing => ({ kind: 'seen', version: applied.at(-1), applied: new Set(applied) });
const branch = (name: string, createdAt?: string): Branch => ({
  id: `br-${name}`,
  name,
  isDefault: false,
  ...(createdAt === undefined ? {} : { createdAt }),
});
const kept = (createdAt?: string, suffix = '') => branch(`replaced-${OCCASION}${suffix}`, createdAt);

function decide(migration: Partial<MigrationRecord>, standing: Standing, branches: readonly Branch[] = []): string {
  const decision = decideUndo(rolledOut(migration), standing, branches, { runName: 'plan-1', point });
  return decision.kind === 'go-back' ? decision.occasion : `${decision.result.status}: ${decision.result.detail}`;
}

describe('a tenant that the rollout migrated', () => {
  const applied = { applied: ['0001', '0002'], to: '0002' };

  test.each<[string, Partial<MigrationRecord>, Standing, Branch[], string | RegExp]>([
    ['is put back', applied, seen('0000', '0001', '0002'), [branch('main')], OCCASION],
    ['is left alone once it is back', applied, seen('0000'), [kept(AFTER)], 'unchanged: at 0000 already'],
    [
      'is left alone when it is further back still',
      applied,
      seen(),
      [],
      'unchanged: it has nothing of this rollout: it is at no migration',
    ],
    ['is refused in part', applied, seen('0000', '0001'), [], /^failed: .* it has 0001 only$/],
    ['is refused when more came after it', applied, seen('0000', '0001', '0002', '0003'), [], /^failed: it is at 0003/],
    [
      'is refused when the folder does not know it',
      applied,
      { kind: 'drift', why: 'unknown' },
      [],
      /^failed: .*unknown/,
    ],
    ['is put back on the occasion of another undo at work', applied, seen('0000', '0001', '0002'), [kept()], OCCASION],
    ['of which the same is true', applied, seen('0000', '0001', '0002'), [kept(AFTER)], OCCASION],
    [
      'is put back once more after it was migrated once more',
      applied,
      seen('0000', '0001', '0002'),
      [kept(BEFORE)],
      `${OCCASION}-again-2`,
    ],
    [
      'and for the third time',
      applied,
      seen('0000', '0001', '0002'),
      [kept(BEFORE), kept(BEFORE, '-again-2')],
      `${OCCASION}-again-3`,
    ],
    [
      'whatever other points have been gone back to',
      applied,
      seen('0000', '0001', '0002'),
      [kept(AFTER, 'B')],
      OCCASION,
    ],
    ['with one out of order', { ...applied, from: '0003' }, seen('0000', '0001', '0002', '0003'), [], OCCASION],
  ])('%s', (_, migration, standing, branches, expected) => {
    expect(decide(migration, standing, branches)).toEqual(
      typeof expected === 'string' ? expected : expect.stringMatching(expected),
    );
  });
});

describe('a file that was done in part', () => {
  const half = { changed: true as const };

  test.each<[string, Partial<MigrationRecord>, Standing, Branch[], string | RegExp]>([
    ['is taken back', half, seen('0000'), [], OCCASION],
    [
      'only once',
      half,
      seen('0000'),
      [kept(AFTER)],
      /^unchanged: at 0000; it was put back at .* in the branch replaced-/,
    ],
    ['only once, by whole seconds', half, seen('0000'), [kept('2026-11-02T03:00:00Z')], /^unchanged: /],
    [
      'not when its failure was followed by a restore',
      half,
      seen('0000'),
      [branch('replaced-after-failure-run-1-1', AFTER)],
      /^unchanged: /,
    ],
    [
      'also after an older failure was',
      half,
      seen('0000'),
      [branch('replaced-after-failure-run-1-1', BEFORE)],
      OCCASION,
    ],
    ['not when it may have been done again since', half, seen('0000'), [kept(BEFORE)], /^failed: .*at it again since/],
    ['not when something else came after it', half, seen('0000', '0001'), [], /^failed: it is at 0001/],
  ])('%s', (_, migration, standing, branches, expected) => {
    expect(decide(migration, standing, branches)).toEqual(
      typeof expected === 'string' ? expected : expect.stringMatching(expected),
    );
  });
});

test.each<[string, Standing, string]>([
  ['is taken back where it did', seen('0000', '0001'), OCCASION],
  ['is nothing to take back where it did not', seen('0000'), 'unchanged: at 0000 already'],
])('what may have taken effect %s', (_, standing, expected) => {
  expect(decide({ unsettled: ['0001'] }, standing)).toBe(expected);
});

test('those are undone on whom something was left, whatever became of them in the end', () => {
  const outcome = (name: string, migration?: MigrationRecord): Outcome => ({
    projectId: name,
    name,
    database: 'neondb',
    attempts: 1,
    startedAt: WORKED_ON,
    durationMs: 1,
    status: 'rolled-back',
    detail: '',
    error: { message: '' },
    ...(migration === undefined ? {} : { migration }),
  });
  const outcomes = [
    outcome('not reached'),
    outcome('as it was', { applied: [] }),
    outcome('of an earlier attempt', { applied: ['0001'] }),
    outcome('in part', { applied: [], changed: true }),
    outcome('not known', { applied: [], unsettled: ['0001'] }),
  ];
  const tenantOf = ({ name, projectId }: Outcome): Tenant => ({
    key: name,
    projectId,
    name,
    database: 'neondb',
    role: 'neondb_owner',
    assumed: { database: true, role: true },
    labels: {},
  });
  expect(undoableTenants(outcomes, tenantOf).map(({ name, workedOnAt }) => [name, workedOnAt])).toEqual(
    ['of an earlier attempt', 'in part', 'not known'].map((name) => [name, WORKED_ON]),
  );
});
