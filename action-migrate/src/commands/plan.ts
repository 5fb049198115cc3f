import { randomUUID } from 'node:crypto';

import { InputError, publishPlan, tellIdleExclusions, type ActionContext } from '@neon-fleet/shared/actions';
import { makePlan, type Plan } from '@neon-fleet/shared/fleet';

import type { SelectingInputs } from '../inputs.js';
import { believeCatalog } from '../look/believe-catalog.js';
import { lookAtAll } from '../look/look-at-all.js';
import { renderPending } from '../look/render-pending.js';
import { discover, openRollout, settingsOf } from '../rollout.js';

/** One to fetch the URI; what the pages of the list take is not worth counting. */
const CALLS_A_TENANT = 1;

/** Decides who is worked on, in which wave and shard. Only with `state: live` or as a dry run it wakes computes of tenants. */
export async function plan(values: SelectingInputs, context: ActionContext): Promise<void> {
  const rollout = await openRollout(values, context);
  const discovery = await discover(rollout, values, context);
  const { tenants, settled } = discovery;
  const told = tellIdleExclusions(discovery);
  const isLive = values.state === 'live' || values.dryRun === true;
  const seen = isLive ? await lookAtAll(rollout, tenants, values, context) : undefined;
  const believed =
    !isLive && values.state === 'catalog' && values.catalogUrl !== undefined
      ? await believeCatalog(rollout, tenants, values.catalogUrl, context)
      : undefined;
  const known = seen ?? believed;
  const decided = makePlan({
    id: randomUUID(),
    action: 'migrate',
    createdAt: context.startedAt,
    settings: settingsOf(rollout, values),
    maxFailures: values.maxFailures,
    waves: values.waves,
    maxShards: values.maxShards,
    tenantsPerShard: values.tenantsPerShard,
    tenants: known?.withWork ?? tenants,
    settled: [...settled, ...(known?.settled ?? [])],
  });
  requireFewWaves(decided, values.maxWaves);
  await publishPlan(decided, {
    cost: costOf(decided, values.neonApiRate),
    appendix: told + (seen === undefined ? '' : renderPending(seen)),
  });
}

function requireFewWaves({ waves }: Plan, maxWaves: number | undefined): void {
  if (maxWaves === undefined || waves.length <= maxWaves) return;
  throw new InputError([
    {
      input: 'waves',
      given: `${waves.length} waves that somebody is in`,
      accepted: `at most ${maxWaves}, as max-waves says`,
    },
  ]);
}

function costOf({ waves, shards }: Plan, ratePerMinute: number) {
  const tenants = waves.reduce((sum, wave) => sum + wave.tenants, 0);
  const apiCalls = tenants * CALLS_A_TENANT;
  return { computesToWake: tenants, apiCalls, apiMinutes: apiCalls / ratePerMinute, jobs: shards.length };
}
