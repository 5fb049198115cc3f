import path from 'node:path';

import * as core from '@actions/core';

import { explain } from '../errors/index.js';
import {
  confirmed,
  identityOf,
  makeReport,
  openRecorder,
  resumeShard,
  shardOf,
  workThroughTenants,
  writeShardReport,
  type EngineOptions,
  type FleetFailures,
  type FleetReport,
  type Outcome,
  type Plan,
  type PlannedTenant,
  type Recorder,
  type ShardRecord,
  type SkipReason,
} from '../fleet/index.js';
import { announce, outputFolder, runUrl, withoutSecrets, type RunEnvironment } from './announce.js';
import { logTenant } from './log-tenant.js';
import { printableLine } from './printable.js';

type EngineSettings = Pick<
  EngineOptions<PlannedTenant>,
  'work' | 'concurrency' | 'signal' | 'breaker' | 'retries' | 'stopGraceMs'
>;

export interface ShardRun extends EngineSettings {
  readonly plan: Plan;
  readonly shard: number;
  /** What earlier attempts left behind: whom they brought to a good end is not worked on again. */
  readonly previousRecords?: readonly ShardRecord[];
  readonly startedAt: Date;
  /** Where the failures of all shards are counted; without it the shard has its own share of the budget. */
  readonly fleet?: FleetFailures | undefined;
  readonly allowSkipped?: readonly SkipReason[] | undefined;
  /** More for the job summary, below the table; Markdown or HTML with everything from outside escaped. */
  readonly appendix?: (report: FleetReport) => string;
}

/**
 * Works through one shard of a plan. Each outcome is on disk as soon as it is known, in a folder of the shard's own, so
 * that a job that is killed leaves behind what it did; the exit code is 1 unless the verdict is `succeeded`.
 *
 * @throws ExplainedError when the plan has no such shard.
 */
export async function applyShard(run: ShardRun, env: RunEnvironment = process.env): Promise<FleetReport> {
  const { plan, previousRecords = [] } = run;
  const shard = shardOf(plan, run.shard);
  const attempt = attemptOf(env);
  const folder = path.join(outputFolder(env), `shard-${shard.shard}`);
  const { carried, toConfirm } = resumeShard(shard, previousRecords);
  const done = new Set(carried.map(identityOf));
  if (carried.length + toConfirm.size > 0) {
    const again = toConfirm.size === 0 ? '' : `; it changed ${toConfirm.size} of them, which are looked at again`;
    core.info(
      `${carried.length + toConfirm.size} of ${shard.tenants.length} tenants were done by an earlier attempt${again}`,
    );
  }
  const left = shard.tenants.filter((tenant) => !done.has(identityOf(tenant)));
  // Those first that only need a look, so that the budget for what is left to do cannot keep it from them.
  const tenants = left.toSorted((a, b) => isKnown(b) - isKnown(a));
  function isKnown(tenant: PlannedTenant): number {
    return toConfirm.has(identityOf(tenant)) ? 1 : 0;
  }

  const header = {
    planId: plan.id,
    action: plan.action,
    shard: shard.shard,
    attempt,
    startedAt: run.startedAt.toISOString(),
  };
  const recorder = await openRecorder(folder, header, carried);
  const keep = keeper(recorder);
  const worked = await workThroughTenants({
    tenants,
    work: async (tenant, context) => {
      const result = await run.work(tenant, context);
      const earlier = toConfirm.get(identityOf(tenant));
      return earlier === undefined ? result : confirmed(earlier, result);
    },
    concurrency: run.concurrency,
    signal: run.signal,
    budget: { maxFailures: shard.maxFailures, ...(run.fleet === undefined ? {} : { fleet: run.fleet }) },
    ...(run.breaker === undefined ? {} : { breaker: run.breaker }),
    ...(run.retries === undefined ? {} : { retries: run.retries }),
    ...(run.stopGraceMs === undefined ? {} : { stopGraceMs: run.stopGraceMs }),
    onHalt: ({ why }) => core.warning(printableLine(`no other tenant is started: ${why}`)),
    onOutcome: ({ outcome, progress, notes }) => {
      keep(withoutSecrets(outcome));
      const total = shard.tenants.length;
      logTenant({ outcome, progress: { done: carried.length + progress.done, total }, notes });
    },
  });
  recorder.close();

  const report = makeReport({
    action: plan.action,
    command: 'apply',
    startedAt: run.startedAt,
    endedAt: new Date(),
    outcomes: [...carried, ...worked.map(withoutSecrets)],
    allowSkipped: new Set(run.allowSkipped),
    runUrl: runUrl(env),
    plan: { id: plan.id, shard: shard.shard, attempt },
  });
  await announce(report, await writeShardReport(folder, shard.shard, report), run.appendix?.(report));
  return report;
}

/** Keeps outcomes; tells once, and goes on, when that is not possible: the report at the end has them as well. */
function keeper(recorder: Recorder): (outcome: Outcome) => void {
  let told = false;
  return (outcome) => {
    try {
      recorder.add(outcome);
    } catch (thrown) {
      if (!told) core.warning(`the running record cannot be written: ${explain(thrown).message}`);
      told = true;
    }
  };
}

/** Which attempt of the workflow run this is; outside of a runner the first. */
export function attemptOf({ GITHUB_RUN_ATTEMPT: attempt }: Pick<RunEnvironment, 'GITHUB_RUN_ATTEMPT'>): number {
  return attempt !== undefined && /^[1-9]\d{0,5}$/.test(attempt) ? Number(attempt) : 1;
}
