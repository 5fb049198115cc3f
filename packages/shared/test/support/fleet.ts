import {
  makePlan,
  parseMaxFailures,
  parseWaves,
  type Plan,
  type PlanSource,
  type ShardRecord,
} from '../../src/fleet/index.js';
import { tenants } from './builders.js';

export const PLAN_ID = '6f9619ff-8b86-4d01-b42d-00cf4fc964ff';

/** A plan for as many tenants as asked for, four in a shard. */
export function planFor(count: number, waves = '', overrides: Partial<PlanSource> = {}): Plan {
  return makePlan({
    id: PLAN_ID,
    action: 'migrate',
    createdAt: new Date('2026-11-02T03:00:00Z'),
    settings: { migrations: 'digest-1' },
    maxFailures: parseMaxFailures('1%'),
    waves: parseWaves(waves),
    tenants: tenants(count),
    settled: [],
    maxShards: 256,
    tenantsPerShard: 4,
    ...overrides,
  });
}

/** What a shard of a plan left behind. */
export function recordOf(plan: Plan, shard: number, overrides: Partial<ShardRecord> = {}): ShardRecord {
  const attempt = overrides.attempt ?? 1;
  return {
    schemaVersion: 1,
    planId: plan.id,
    action: plan.action,
    shard,
    attempt,
    startedAt: new Date(Date.parse(plan.createdAt) + attempt * 60_000).toISOString(),
    outcomes: [],
    complete: true,
    ...overrides,
  };
}
