import { readFile } from 'node:fs/promises';
import path from 'node:path';

import { ExplainedError } from '@neon-fleet/shared/errors';
import { durationText } from '@neon-fleet/shared/fleet';
import { parse } from 'yaml';
import { z } from 'zod';

import { slackMs } from '../tenant/due.js';
import { longestGapMs } from './cron.js';

/** GitHub starts no workflow by cron more often. */
const SHORTEST_CRON_MS = 5 * 60_000;

/** How often somebody looks who is due, and whose word that is. */
export interface LookEvery {
  readonly ms: number;
  readonly from: 'look-every' | 'the crons of the workflow' | "GitHub's shortest cron";
}

/**
 * Finds out how often somebody looks: by the input, else by the crons of the workflow that this run belongs to, where the
 * repository is checked out. Without either only that is known which holds for every cron.
 */
export async function lookEvery(
  given: number | undefined,
  env: Readonly<Record<string, string | undefined>>,
): Promise<LookEvery> {
  if (given !== undefined) return { ms: given, from: 'look-every' };
  const gap = longestGapMs(await cronsOfWorkflow(env));
  if (gap !== undefined) return { ms: gap, from: 'the crons of the workflow' };
  return { ms: SHORTEST_CRON_MS, from: "GitHub's shortest cron" };
}

const workflowSchema = z.object({
  on: z.object({ schedule: z.array(z.object({ cron: z.string() })) }),
});

/** The crons of the workflow file as it is in the checkout; for a reusable workflow those of its caller. */
async function cronsOfWorkflow(env: Readonly<Record<string, string | undefined>>): Promise<string[]> {
  const { GITHUB_WORKFLOW_REF: ref = '', GITHUB_REPOSITORY: repository = '', GITHUB_WORKSPACE: workspace = '' } = env;
  const file = ref.startsWith(`${repository}/`) ? ref.slice(repository.length + 1).replace(/@.*$/, '') : '';
  if (!/^\.github\/workflows\/[^/]+\.ya?ml$/.test(file) || workspace === '') return [];
  try {
    const workflow = workflowSchema.safeParse(parse(await readFile(path.join(workspace, file), 'utf8')));
    return workflow.success ? workflow.data.on.schedule.map(({ cron }) => cron) : [];
  } catch {
    return [];
  }
}

/** Somebody who is to be backed up every so often. */
export interface Demand {
  readonly name: string;
  readonly everyMs: number | undefined;
}

const MOST_NAMED = 10;

/**
 * What is wrong with policies that are shorter than the time between two looks: their backups are late by construction.
 *
 * @returns undefined when all can be kept.
 */
export function unkeepable(demands: readonly Demand[], { ms, from }: LookEvery): ExplainedError | undefined {
  const late = demands.filter(({ everyMs }) => everyMs !== undefined && ms > everyMs + slackMs(everyMs));
  if (late.length === 0) return undefined;
  const names = late
    .slice(0, MOST_NAMED)
    .map(({ name, everyMs = 0 }) => `${JSON.stringify(name)} (every ${durationText(Math.round(everyMs / 1_000))})`);
  const more = late.length > names.length ? ` and ${late.length - names.length} more` : '';
  return new ExplainedError({
    message: `somebody looks only every ${durationText(Math.round(ms / 1_000))} (${from}), which cannot keep the policy of ${names.join(', ')}${more}`,
    hint: 'Let the workflow run more often, or make every longer in the fleet file. An external scheduler is told by look-every.',
  });
}
