import type { Management } from '@neon-fleet/shared/neon';
import pMap from 'p-map';

import type { ProvisionPlan } from './plan.js';
import { NOTES } from './settings.js';

const CONCURRENCY = 8;

/**
 * Finds projects that were made for a key under another name. A tenant without project-id whose name is not there may be
 * one of the projects that the file does not know, with its old name: those that were made here have their key on their
 * branch. Looked up only when there is both something to create and something unlisted.
 *
 * It is a question for a person and not a rename: another fleet of the organisation may use the same key.
 */
export async function recognise(
  manage: Pick<Management, 'listAnnotatedBranches'>,
  plan: ProvisionPlan,
): Promise<ReadonlyMap<string, string>> {
  const missing = new Set(plan.steps.flatMap(({ step, tenant }) => (step === 'create' ? [tenant.key] : [])));
  if (missing.size === 0) return new Map();
  const keys = await pMap(
    plan.unlisted,
    async ({ projectId }) => {
      const branches = await manage.listAnnotatedBranches(projectId);
      const key = branches.find(({ isDefault }) => isDefault)?.annotations[NOTES.key];
      return key !== undefined && missing.has(key) ? ([key, projectId] as const) : undefined;
    },
    { concurrency: CONCURRENCY },
  );
  return new Map(keys.filter((found) => found !== undefined));
}
