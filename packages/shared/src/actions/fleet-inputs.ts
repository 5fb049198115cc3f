import { MAX_FAILURES_FORM, MOST_SHARDS, parseMaxFailures, parseWaves, WAVES_FORM } from '../fleet/index.js';
import { durationInput, integerInput, parsedInput, textInput } from './inputs.js';

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
} as const;
