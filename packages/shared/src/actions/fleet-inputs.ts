import { statSync } from 'node:fs';

import { MAX_FAILURES_FORM, MOST_SHARDS, parseMaxFailures, parseWaves, WAVES_FORM } from '../fleet/index.js';
import {
  booleanInput,
  durationInput,
  integerInput,
  parsedInput,
  showGiven,
  textInput,
  type InputProblem,
} from './inputs.js';

const MOST_TENANTS_PER_SHARD = 100_000;
const LONGEST_SOAK_MS = 5 * 3_600_000; // a job of GitHub's own runners ends after six hours

/** In which steps a fleet is rolled out, and what ends it. */
export const rolloutInputs = {
  waves: parsedInput(parseWaves, {
    description:
      'Steps of the rollout, each counting all tenants so far: `1, 1%, 10%, 100%`. In front there may be names or globs, those on one line being one wave. The first of several waves is the canary: a failure in it ends the rollout.',
    accepted: WAVES_FORM,
    default: '100%',
  }),
  soak: durationInput({
    description: 'How long to wait after a wave before the next one starts, so that what a change breaks can show.',
    maxMs: LONGEST_SOAK_MS,
  }),
  'max-failures': parsedInput(parseMaxFailures, {
    description:
      'Failures allowed over the whole fleet, as a number or a percentage (at least one then, unless it is `0%`). With more no other tenant is started. Failures of Neon itself do not count.',
    accepted: MAX_FAILURES_FORM,
    default: '1%',
  }),
} as const;

/** How a fleet is divided among the jobs of a matrix. */
export const shardingInputs = {
  'max-shards': integerInput({
    description: 'How many jobs the fleet is divided among at most. A matrix of GitHub has at most 256.',
    min: 1,
    max: MOST_SHARDS,
    default: '256',
  }),
  'tenants-per-shard': integerInput({
    description: 'How many tenants one job works through, unless `max-shards` jobs of this size are too few.',
    min: 1,
    max: MOST_TENANTS_PER_SHARD,
    default: '500',
  }),
  'max-parallel': integerInput({
    description:
      'How many jobs of the matrix run beside one another, as in `strategy.max-parallel`: the rate of the Neon API is divided among them. By default all shards of a wave are taken to run at once.',
    min: 1,
    max: MOST_SHARDS,
    default: '256',
  }),
} as const;

/** What the commands `apply` and `report` are given by the jobs before them. */
export const planFileInputs = {
  plan: textInput({ description: 'Path of the plan that the command `plan` wrote (`apply`, `report`).' }),
  shard: integerInput({ description: 'Which shard of the plan to work through (`apply`).', min: 1, max: MOST_SHARDS }),
  reports: textInput({
    description:
      "Folder with the shards' records, also of earlier attempts: what `apply` goes on from and `report` puts together.",
  }),
  'through-wave': integerInput({
    description:
      'Makes `report` a gate after this wave: the output `go` says whether the next may start, and the step is green.',
    min: 1,
    max: MOST_SHARDS,
  }),
  'run-cancelled': booleanInput({
    description: 'For `report`: whether the workflow run was cancelled, so that what is missing is not a failure.',
    default: 'false',
  }),
} as const;

/** What is wrong with the paths that `apply` and `report` were given; other commands do not look at them. */
export function planFileProblems({
  command,
  plan,
  reports,
}: {
  readonly command?: string | undefined;
  readonly plan?: string | undefined;
  readonly reports?: string | undefined;
}): InputProblem[] {
  if (command !== 'apply' && command !== 'report') return [];
  const problems: InputProblem[] = [];
  const add = (input: string, path: string, what: string, accepted: string) =>
    problems.push({ input, given: `${showGiven(path)}, and ${what}`, accepted });
  const planKind = plan === undefined ? 'file' : kindOf(plan);
  if (plan !== undefined && planKind !== 'file') {
    const what = planKind === 'folder' ? 'that is a folder' : 'there is no plan at this path';
    add('plan', plan, what, 'the path of the plan that the command plan wrote');
  }
  // A folder that is not there is none: the job that would have made it may have been cancelled.
  if (reports !== undefined && kindOf(reports) === 'file') {
    add('reports', reports, 'that is a file', "the folder that the shards' records are in");
  }
  return problems;
}

function kindOf(path: string): 'file' | 'folder' | 'nothing' {
  try {
    return statSync(path).isDirectory() ? 'folder' : 'file';
  } catch {
    return 'nothing';
  }
}
