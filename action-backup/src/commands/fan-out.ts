import { randomUUID } from 'node:crypto';

import {
  applyShard,
  commentSettings,
  publishMerged,
  publishPlan,
  tellRun,
  type ActionContext,
} from '@neon-fleet/shared/actions';
import { normalisePrefix } from '@neon-fleet/shared/backups';
import { makePlan, readPlan, readRecords, requireAgreement, shardOf } from '@neon-fleet/shared/fleet';

import { tellMade } from '../catalog/tell.js';
import { archive } from '../storage/archive.js';
import { backUpTenant } from '../tenant/back-up-tenant.js';
import type { ApplyValues, PlanValues, ReportValues, SessionValues } from '../inputs.js';
import { discover } from './discover.js';
import { refuseLateLooks } from './late-looks.js';
import { tellMemory } from './memory.js';
import { BREAKER, openSession, tellBackups } from './session.js';

/** One to fetch the URI; what the pages of the list take is not worth counting. */
const CALLS_A_TENANT = 1;

/** `command: plan`: decides who is backed up in which shard, and wakes nobody. */
export async function plan(values: PlanValues, context: ActionContext): Promise<void> {
  await using session = await openSession(values, context);
  const { tenants, settled } = await discover(session, values, context);
  await refuseLateLooks(tenants, values);
  const decided = makePlan({
    id: randomUUID(),
    action: 'backup',
    createdAt: context.startedAt,
    settings: settingsOf(values),
    // A failed backup says nothing about the next one: everybody gets a try.
    maxFailures: { kind: 'percent', percent: 100 },
    waves: values.waves,
    maxShards: values.maxShards,
    tenantsPerShard: values.tenantsPerShard,
    tenants,
    settled,
  });
  const apiCalls = tenants.length * CALLS_A_TENANT;
  const jobs = decided.shards.length;
  await publishPlan(decided, {
    cost: { computesToWake: tenants.length, apiCalls, apiMinutes: apiCalls / values.neonApiRate, jobs },
    appendix: tellMemory(tenants, values),
  });
}

/** `command: apply`: backs up one shard of a plan. */
export async function apply(values: ApplyValues, context: ActionContext): Promise<void> {
  const decided = await readPlan(values.plan);
  const { wave, tenants } = shardOf(decided, values.shard);
  const besides = decided.waves.find((one) => one.wave === wave)?.shards.length ?? 1;
  requireAgreement(decided, 'backup', settingsOf(values));
  await using session = await openSession(values, context, Math.min(values.maxParallel, besides));
  await session.checkPlacesOf(tenants);
  const memory = tellMemory(tenants, values);
  const report = await applyShard({
    plan: decided,
    shard: values.shard,
    previousRecords: values.reports === undefined ? [] : await readRecords(values.reports, decided),
    startedAt: context.startedAt,
    concurrency: values.concurrency,
    retries: values.retries,
    breaker: BREAKER,
    signal: context.stop.signal,
    work: (tenant, work) => backUpTenant(session.surroundingsOf(tenant), tenant, work),
    allowSkipped: values.allowSkipped,
    appendix: () => memory,
  });
  tellBackups(session);
  await archive(values, report);
  await tellMade(report, session, tenants, values, context);
}

/** `command: report`: puts together what the shards reported. */
export async function report(values: ReportValues, context: ActionContext): Promise<void> {
  const decided = await readPlan(values.plan);
  const merged = await publishMerged({
    plan: decided,
    records: await readRecords(values.reports, decided),
    allowSkipped: values.allowSkipped,
    runCancelled: values.runCancelled,
    throughWave: values.throughWave,
    soakMs: undefined,
    signal: context.stop.signal,
    comment: commentSettings(values, context),
  });
  await archive(values, merged, decided);
  if (values.throughWave !== undefined) return;
  const tenants = decided.shards.flatMap((shard) => shard.tenants);
  await tellRun(merged, { catalogUrl: values.catalogUrl, tenants, signal: context.stop.signal });
}

/** What the jobs of one run must agree about: where the backups go, and what is in them. */
function settingsOf(values: SessionValues): Record<string, string> {
  const { format, compression, rowCounts } = values;
  const lines = (list: readonly string[] | undefined) => (list ?? []).join(' ');
  return {
    's3-bucket': values.s3Bucket,
    's3-prefix': normalisePrefix(values.s3Prefix),
    format,
    compression,
    'row-counts': rowCounts,
    'exclude-tables': lines(values.excludeTables),
    'exclude-table-data': lines(values.excludeTableData),
    schemas: lines(values.schemas),
    'extra-args': lines(values.extraArgs),
  };
}
