import { SKIP_REASONS } from '../fleet/index.js';
import { choicesInput, durationInput, integerInput, linesInput, patternInput, textInput, urlInput } from './inputs.js';

/** How to reach Neon; every action that talks to it takes these. */
export const neonInputs = {
  'neon-api-key': textInput({
    description: 'Neon API key. An organisation key is right for CI. Keep it in a repository or environment secret.',
    required: true,
    secret: true,
    accepted: 'a Neon API key',
  }),
  'neon-org-id': patternInput({
    description: 'Neon organisation. Needed with a personal API key only; an organisation key knows its own.',
    pattern: /^org-[a-z0-9-]+$/,
    accepted: 'the id of an organisation, such as org-misty-river-12345678',
  }),
  'neon-api-url': urlInput({ description: 'Where the Neon API is, when it is not at its usual address.' }),
  'neon-api-rate': integerInput({
    description:
      "The most requests to the Neon API in any minute. Neon's limit is 700 for the whole account, and your applications need some of it.",
    min: 1,
    max: 100_000,
    default: '420',
  }),
} as const;

/** Where a tenant's data is inside its project. */
export const locationInputs = {
  database: textInput({ description: "Database of each tenant. Default: Neon's own default, `neondb`." }),
  role: textInput({ description: "Role to connect as. Default: Neon's own default, `neondb_owner`." }),
  branch: textInput({ description: "Branch of each project, by name or id. Default: the project's default branch." }),
} as const;

/** Who takes part. There is no default: an organisation also holds staging and tools. */
export const selectionInputs = {
  tenants: linesInput({
    description:
      "Which tenants: one glob a line, compared with the name and the id of each project. A line with `!` in front takes out. `'*'` means all, and must be written.",
    required: true,
    accepted: "one glob a line, compared with names and ids of projects; '*' for all of them",
  }),
} as const;

/** How a run behaves. */
export const runInputs = {
  'allow-skipped': choicesInput(SKIP_REASONS, {
    description: 'Reasons for skipping a tenant that leave the run green, for example `drift`.',
  }),
  'time-limit': durationInput({
    description:
      'When to stop in good order: no new tenant is started, those in flight are ended, the report is written.',
    default: '5.5h',
  }),
} as const;

/** How many tenants at the same time; the right number differs between the actions. */
export function concurrencyInput<const D extends string>(defaultConcurrency: D) {
  return {
    concurrency: integerInput({
      description: 'How many tenants are worked on at the same time.',
      min: 1,
      max: 200,
      default: defaultConcurrency,
    }),
  } as const;
}
