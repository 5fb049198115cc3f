import * as core from '@actions/core';
import { type ActionContext, logTenant, printable, publishRun, Stores } from '@neon-fleet/shared/actions';
import { databasePrefix } from '@neon-fleet/shared/backups';
import { ExplainedError } from '@neon-fleet/shared/errors';
import { workThroughTenants, type Tenant, type TenantResult, type WorkContext } from '@neon-fleet/shared/fleet';
import type { ObjectStore } from '@neon-fleet/shared/s3';

import { tellGone } from '../catalog/tell.js';
import { archive } from '../storage/archive.js';
import type { PruneValues } from '../inputs.js';
import { tenantOfStored, type NamedDatabase } from '../storage/inventory.js';
import { earlierAttempts } from '../storage/orphans.js';
import { carryOut, planPrune, type PrunePlan, type PruneRules } from '../retention/prune.js';
import { choosePlaced, type PlacedDatabase } from '../storage/placed.js';
import { fleetOf } from './discover.js';

/** `command: prune`: retention alone, so that it can run in a job and with a role of its own. It needs S3 only. */
export async function pruneCommand(values: PruneValues, context: ActionContext): Promise<void> {
  const { signal } = context.stop;
  const onNote = (line: string) => core.warning(printable(line));
  const fleet = await fleetOf(values);
  const chosen = await choosePlaced(new Stores(values, process.env), values, fleet, { signal, onNote });
  if (chosen.every(({ policy }) => policy.retention === undefined)) throw noRetention();
  const orphans = { ageMs: values.orphanAge, earlier: earlierAttempts(process.env, context.startedAt) };
  const gone: string[] = [];
  const onGone = (keys: readonly string[]) => void gone.push(...keys);
  const tenants = chosen.map((stored) => ({ ...tenantOfStored(stored), stored }));
  const outcomes = await workThroughTenants({
    tenants,
    concurrency: values.concurrency,
    signal,
    onOutcome: logTenant,
    work: ({ stored }: Tenant & { stored: PlacedDatabase }, work) => {
      const { store, place, policy } = stored;
      const rules = { retention: policy.retention, orphans };
      const { dryRun } = values;
      return pruneStored(store, { prefix: place.prefix, stored, rules, dryRun, now: context.startedAt, onGone }, work);
    },
  });
  const report = await publishRun({
    action: 'backup',
    command: 'prune',
    startedAt: context.startedAt,
    outcomes,
    allowSkipped: values.allowSkipped,
  });
  await archive(values, report);
  await tellGone(gone, values, context);
}

/** A prune without any policy would look like one that found nothing to delete. */
function noRetention(): ExplainedError {
  return new ExplainedError({
    message:
      'neither the input retention nor the fleet file says what is kept of the chosen tenants; nothing was deleted',
    hint: 'Set retention, or backup: { retention: … } in the fleet file.',
  });
}

interface StoredPrune {
  readonly prefix: string;
  readonly stored: NamedDatabase;
  readonly rules: PruneRules;
  readonly dryRun: boolean;
  readonly now: Date;
  /** Told the keys of what is not there any more. */
  readonly onGone?: (keys: readonly string[]) => void;
}

/**
 * Prunes what the bucket holds of one database, or says what would go and why the rest stays.
 *
 * @throws ExplainedError when the newest backup is not whole: nothing is deleted then, since which one is the newest good
 *   one is not known; or when the store refused a deletion.
 */
export async function pruneStored(
  store: Pick<ObjectStore, 'bucket' | 'head' | 'list' | 'listUploads' | 'abortUpload' | 'delete'>,
  { prefix, stored, rules, dryRun, now, onGone }: StoredPrune,
  { signal, note }: WorkContext,
): Promise<TenantResult> {
  const { projectId, database } = stored;
  const scope = { prefix, projectId, database };
  await checkNewest(store, stored, signal);
  const uploads = (await store.listUploads(databasePrefix(prefix, projectId, database), signal)) ?? [];
  const keys = stored.objects.map(({ key }) => key);
  const plan = planPrune(keys, uploads, scope, rules, now);
  for (const { key, keep, why } of plan.decisions) {
    note(`${keep ? 'stays' : dryRun ? 'would go' : 'goes'}: ${key} (${why})`);
  }
  for (const key of [...plan.orphans.objects, ...plan.orphans.uploads.map((upload) => upload.key)]) {
    note(`${dryRun ? 'would go' : 'goes'}: ${key} (it was never finished)`);
  }
  const words = planWords(plan, dryRun);
  const leaving = plan.decisions.filter(({ keep }) => !keep).length + garbageOf(plan);
  if (leaving === 0) return { status: 'unchanged', reason: 'up-to-date', detail: words };
  if (dryRun) return { status: 'succeeded', detail: words };
  const { deleted, cleared, problems } = await carryOut(store, plan, signal);
  onGone?.([...deleted, ...cleared]);
  if (problems.length === 0) return { status: 'succeeded', detail: words };
  throw new ExplainedError({
    message: `${problems.length} of ${leaving} objects could not be deleted: ${problems[0] ?? ''}`,
    hint: 'The role needs s3:DeleteObject on the objects. What is under Object Lock can go only when its time is over.',
  });
}

async function checkNewest(
  store: Pick<ObjectStore, 'head'>,
  { backups, newest, name }: NamedDatabase,
  signal: AbortSignal,
): Promise<void> {
  const [first] = backups;
  if (first === undefined) return;
  const head = newest === undefined ? undefined : await store.head(newest.key, signal);
  if (newest?.key === first.objectKey && head?.sizeBytes === newest.sizeBytes) return;
  throw new ExplainedError({
    message: `the newest backup of ${name}, ${first.objectKey}, is not what its manifest says; nothing was deleted`,
    hint: 'Back the tenant up again: retention goes on once its newest backup is good.',
  });
}

function garbageOf({ orphans }: PrunePlan): number {
  return orphans.objects.length + orphans.uploads.length;
}

function planWords(plan: PrunePlan, dryRun: boolean): string {
  const kept = plan.decisions.filter(({ keep }) => keep).length;
  const gone = plan.decisions.length - kept;
  const garbage = garbageOf(plan);
  const verb = dryRun ? 'would go' : 'deleted';
  const rest = garbage === 0 ? '' : `, ${garbage} that were never finished ${dryRun ? 'too' : 'cleared'}`;
  return `${gone} ${verb}, ${kept} kept${rest}`;
}
