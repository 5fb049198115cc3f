import { ExplainedError } from '../errors/index.js';
import { joinMigrations, leftSomething } from './migration-record.js';
import type { MigrationRecord, Outcome, TenantResult } from './outcome.js';
import { identityOf } from './order.js';
import type { Plan, PlannedShard, PlannedTenant } from './plan.js';
import type { ShardRecord } from './records.js';
import { decideNextWave, tallyWave, type RolloutDecision, type WaveTally } from './rollout-decision.js';
import { isGreen } from './verdict.js';

export interface MergeOptions {
  /** Whether the workflow run was cancelled: who is missing then was not forgotten. */
  readonly runCancelled?: boolean;
  /** Look at the waves up to this one only. */
  readonly throughWave?: number;
}

/** What became of a plan. */
export interface Merged {
  /** One for every planned tenant, after those that were settled when the plan was made. */
  readonly outcomes: readonly Outcome[];
  /** How many of the outcomes are of a job that the newest attempt of the run did not run again. */
  readonly ofEarlierAttempts: number;
  /** What follows for the wave after the last one that was looked at. */
  readonly decision: RolloutDecision;
}

/**
 * Puts the records of all shards and attempts together: every planned tenant exactly once. The newest attempt counts;
 * what an older one did to the tenant stays known, so that all of it can be undone.
 */
export function mergeRecords(plan: Plan, records: readonly ShardRecord[], options: MergeOptions = {}): Merged {
  const { outcomes: known, ofEarlierAttempts } = newestOutcomes(records);
  const begun = new Set(records.map(({ shard }) => shard));
  const outcomes: Outcome[] = [...plan.settled];
  const ended: WaveTally[] = [];
  const limits = { waves: plan.waves.length, maxFailures: plan.maxFailures };

  let decision = decideNextWave(ended, limits);
  for (const { wave, name } of plan.waves) {
    if (options.throughWave !== undefined && wave > options.throughWave) break;
    const before = decision;
    const ofWave = plan.shards
      .filter((shard) => shard.wave === wave)
      .flatMap((shard) =>
        shard.tenants.map(
          (tenant) =>
            known.get(identityOf(tenant)) ??
            missing(plan, shard, tenant, {
              begun: begun.has(shard.shard),
              before,
              runCancelled: options.runCancelled === true,
            }),
        ),
      );
    for (const outcome of ofWave) outcomes.push(outcome);
    ended.push(tallyWave(name, options.runCancelled === true ? ofWave.filter(wasReached) : ofWave));
    decision = decideNextWave(ended, limits);
  }
  const ofBefore = outcomes.filter((outcome) => ofEarlierAttempts.has(identityOf(outcome))).length;
  return { outcomes, ofEarlierAttempts: ofBefore, decision };
}

/** Where the whole run was cancelled, that is why later waves did not start, and not whom it left out in the first one. */
function wasReached(outcome: Outcome): boolean {
  return outcome.status !== 'skipped' || outcome.reason !== 'cancelled';
}

interface Newest {
  /** The newest outcome of each tenant, by its identity. */
  readonly outcomes: ReadonlyMap<string, Outcome>;
  /** Those of whom the newest attempt says nothing: their jobs did not run again. */
  readonly ofEarlierAttempts: ReadonlySet<string>;
}

function newestOutcomes(records: readonly ShardRecord[]): Newest {
  const known = new Map<string, Outcome>();
  const attempts = new Map<string, number>();
  const leftBehind = new Map<string, MigrationRecord>();
  for (const { attempt, outcomes } of records.toSorted(byAge)) {
    for (const outcome of outcomes) {
      const identity = identityOf(outcome);
      // The record of who was put back has nothing of that attempt, so that what an older one left stays known.
      const migration = joinMigrations(leftBehind.get(identity), outcome.migration);
      if (migration !== undefined) leftBehind.set(identity, migration);
      known.set(identity, migration === undefined ? outcome : { ...outcome, migration });
      attempts.set(identity, attempt);
    }
  }
  const newest = records.reduce((highest, { attempt }) => Math.max(highest, attempt), 0);
  const earlier = [...attempts].filter(([, attempt]) => attempt < newest).map(([identity]) => identity);
  return { outcomes: known, ofEarlierAttempts: new Set(earlier) };
}

/** Oldest first: a higher attempt is newer, and of one attempt what began later. */
function byAge(a: ShardRecord, b: ShardRecord): number {
  return a.attempt - b.attempt || Date.parse(a.startedAt) - Date.parse(b.startedAt);
}

/** Says something about a tenant that no record says anything about. */
function missing(
  plan: Plan,
  { shard }: PlannedShard,
  tenant: PlannedTenant,
  { begun, before, runCancelled }: { begun: boolean; before: RolloutDecision; runCancelled: boolean },
): Outcome {
  const identity = {
    projectId: tenant.projectId,
    name: tenant.name,
    database: tenant.database,
    attempts: 0,
    startedAt: plan.createdAt,
    durationMs: 0,
  };
  if (!before.go && !begun) {
    return { ...identity, status: 'skipped', reason: before.reason, detail: `not started: ${before.why}` };
  }
  if (runCancelled) {
    const detail = `the run was cancelled before shard ${shard} reported on it`;
    return { ...identity, status: 'skipped', reason: 'cancelled', detail };
  }
  const message = `shard ${shard} did not report`;
  const hint = begun
    ? 'Its job ended before this tenant was done, so that its state is not known. Re-run the failed jobs: each tenant is looked at first, and only what is left is done.'
    : 'Its job did not run, or was lost before it wrote anything. Re-run the failed jobs.';
  return { ...identity, status: 'failed', detail: message, error: { message, code: 'no-report', hint } };
}

/** Whether the next wave may start, in the words of the step that asks. */
export interface GateDecision {
  readonly go: boolean;
  readonly why: string;
  /** What counts against the error budget so far. */
  readonly failures: number;
}

/**
 * Decides, after a wave, whether the one after it may start; after the last one there is none to start.
 *
 * @throws ExplainedError when the plan has no such wave.
 */
export function gate(plan: Plan, records: readonly ShardRecord[], wave: number): GateDecision {
  if (plan.waves.every((one) => one.wave !== wave)) {
    throw new ExplainedError({ message: `through-wave: the plan has ${plan.waves.length} waves, and no wave ${wave}` });
  }
  const { decision } = mergeRecords(plan, records, { throughWave: wave });
  const { go, why, failures } = decision;
  if (!go) return { go, why, failures };
  const isLast = plan.waves.every((one) => one.wave <= wave);
  return isLast ? { go: false, why: 'no wave is left', failures } : { go, why, failures };
}

/** What earlier attempts on a shard mean for the next one. */
export interface Resumed {
  /** Brought to a good end without a change: neither worked on nor woken again. */
  readonly carried: readonly Outcome[];
  /**
   * Brought to a good end with changes, by identity. They are looked at again, since somebody may have gone back in
   * between: a tick for what is not there any more would be worse than the look.
   */
  readonly toConfirm: ReadonlyMap<string, Outcome>;
}

/** Goes through what earlier attempts on a shard have brought to a good end. */
export function resumeShard(shard: PlannedShard, earlier: readonly ShardRecord[]): Resumed {
  const { outcomes } = newestOutcomes(earlier);
  const green = shard.tenants.flatMap((tenant) => {
    const outcome = outcomes.get(identityOf(tenant));
    return outcome !== undefined && isGreen(outcome.status) ? [outcome] : [];
  });
  return {
    carried: green.filter(({ migration }) => !leftSomething(migration)),
    toConfirm: new Map(
      green.filter(({ migration }) => leftSomething(migration)).map((outcome) => [identityOf(outcome), outcome]),
    ),
  };
}

/** What counts after a tenant was looked at again: the same as before, word by word, when nothing was to be done. */
export function confirmed(earlier: Outcome, result: TenantResult): TenantResult {
  return result.status === 'unchanged' ? earlier : result;
}
