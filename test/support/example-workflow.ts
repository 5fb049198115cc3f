import { readFile } from 'node:fs/promises';
import path from 'node:path';

import type { FinishedAction } from '@neon-fleet/local-runner';
import { parse } from 'yaml';

import { ACTIONS, ROOT, type ActionName } from '../../scripts/actions.js';
import type { StepOptions, TestFleet } from './fleet.js';
import { filled, type Job } from './fleet-workflow.js';
import type { Contexts } from './workflow-conditions.js';

type ExampleStep = Job['steps'][number] & { readonly 'continue-on-error'?: boolean };

/** A step of an example that was run. */
export interface ExampleRun {
  readonly action: ActionName;
  readonly finished: FinishedAction;
}

/**
 * Runs the steps of an example's only job that use an action of this repository, as GitHub does: each with its expressions
 * filled in, and none after one that failed, unless that one says `continue-on-error`.
 *
 * @param more inputs that say where the stand-ins are.
 */
export async function runExample(
  fleet: TestFleet,
  name: string,
  contexts: Contexts,
  more: (action: ActionName, command: string) => Record<string, string>,
  options: StepOptions = {},
): Promise<ExampleRun[]> {
  const file = path.join(ROOT, 'examples', 'workflows', `${name}.yml`);
  const { jobs } = parse(await readFile(file, 'utf8')) as { jobs: Record<string, { steps: ExampleStep[] }> };
  const [job, ...others] = Object.values(jobs);
  if (job === undefined || others.length > 0) throw new Error(`${name}.yml has not exactly one job`);
  const runs: ExampleRun[] = [];
  for (const step of job.steps) {
    const used = /^org\/neon-fleet\/(\w+)@v1$/.exec(step.uses ?? '')?.[1];
    const action = ACTIONS.find((each) => each === used);
    if (action === undefined) continue;
    const inputs = filled(step.with ?? {}, contexts);
    const finished = await fleet.run(action, { ...inputs, ...more(action, inputs['command'] ?? 'run') }, options);
    runs.push({ action, finished });
    if (finished.exitCode !== 0 && step['continue-on-error'] !== true) break;
  }
  return runs;
}
