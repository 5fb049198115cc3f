import * as core from '@actions/core';
import { printable } from '@neon-fleet/shared/actions';
import type { ExplainedError } from '@neon-fleet/shared/errors';
import type { Tenant } from '@neon-fleet/shared/fleet';

import { lookEvery, unkeepable } from '../policy/look-every.js';
import { policyOf, type PolicyInputs } from '../policy/policy.js';

interface LookInputs extends PolicyInputs {
  readonly lookEvery: number | undefined;
}

/** @throws ExplainedError when somebody's policy is shorter than the time between two looks */
export async function refuseLateLooks(tenants: readonly Tenant[], values: LookInputs): Promise<void> {
  const problem = await lateLooks(tenants, values);
  if (problem !== undefined) throw problem;
}

/** The same, where it is no reason to leave out a backup that can be made now. */
export async function warnOfLateLooks(tenants: readonly Tenant[], values: LookInputs): Promise<void> {
  const problem = await lateLooks(tenants, values);
  if (problem !== undefined) core.warning(printable(problem.message));
}

async function lateLooks(tenants: readonly Tenant[], values: LookInputs): Promise<ExplainedError | undefined> {
  const demands = tenants.map(({ name, backup }) => ({ name, everyMs: policyOf(values, backup).everyMs }));
  // Nobody asks for it in most fleets, and the calendar of a cron takes a while.
  if (demands.every(({ everyMs }) => everyMs === undefined)) return undefined;
  return unkeepable(demands, await lookEvery(values.lookEvery, process.env));
}
