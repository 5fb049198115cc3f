import path from 'node:path';

import * as core from '@actions/core';

import { writePlan, type Plan } from '../fleet/index.js';
import { outputFolder, withoutSecrets, writeSummary, type RunEnvironment } from './announce.js';
import { renderPlanSummary, tenantsOf, type PlanCost } from './plan-summary.js';
import { printableLine } from './printable.js';

export interface PublishedPlan {
  readonly cost: PlanCost;
  /** More for the job summary, below the tables; Markdown or HTML with everything from outside escaped. */
  readonly appendix?: string;
}

/**
 * Publishes a plan: the file for the jobs after this one, the outputs that a matrix is made of, and the job summary. A
 * plan decides and does nothing, so that the step is green whatever was found; the verdict is what the report gives.
 */
export async function publishPlan(
  plan: Plan,
  { cost, appendix }: PublishedPlan,
  env: RunEnvironment = process.env,
): Promise<string> {
  const published: Plan = { ...plan, settled: plan.settled.map(withoutSecrets) };
  const file = path.join(outputFolder(env), 'plan.json');
  await writePlan(published, file);

  const tenants = tenantsOf(plan);
  const waves = plan.waves.map(({ wave, name, tenants: members, shards }) => ({
    wave,
    name,
    tenants: members,
    shards: shards.length,
    matrix: { shard: shards },
  }));
  const message =
    `${plan.action} planned: ${tenants} tenants in ${plan.shards.length} shards and ${waves.length} waves` +
    (plan.settled.length === 0 ? '' : `, ${plan.settled.length} settled already`);
  core.setOutput('plan', file);
  core.setOutput('matrix', JSON.stringify({ shard: plan.shards.map(({ shard }) => shard) }));
  core.setOutput('shards', plan.shards.length);
  core.setOutput('tenants', tenants);
  core.setOutput('waves', JSON.stringify(waves));
  core.setOutput('verdict', 'succeeded');
  core.setOutput('message', message);

  await writeSummary(renderPlanSummary(published, cost, appendix));
  core.info(printableLine(message));
  return file;
}
