import { choiceInput, durationInput, patternInput, textInput } from '@neon-fleet/shared/actions';

/** Names that a program's own machinery reads, and that a URL must not be put into. */
const OF_THE_MACHINERY =
  'PATH|HOME|LANG|LANGUAGE|TMPDIR|TZ|CI|NO_COLOR|RUNNER_.*|LC_.*|LD_.*|DYLD_.*|NODE_.*|PG.*|npm_.*';

export const engineInputs = {
  engine: choiceInput(['drizzle-orm', 'drizzle-kit'], {
    description:
      'What applies the migrations. `drizzle-orm`: in this process, fast. `drizzle-kit`: the repository’s own `drizzle-kit migrate`, a process for each tenant.',
    default: 'drizzle-orm',
  }),
} as const;

/** Where the repository's drizzle.config is, for `engine: drizzle-kit` and `command: check`. */
export const kitInputs = {
  'drizzle-config': textInput({
    description:
      "For `engine: drizzle-kit` and `check`: path of the drizzle.config, or a glob with one for each tenant in a folder of the tenant's name, such as `configs/*/drizzle.config.ts`. Default: the one that drizzle-kit finds.",
  }),
  'drizzle-url-variable': patternInput({
    description:
      "For `engine: drizzle-kit`: the variable in which the drizzle.config looks for the URL, besides `DATABASE_URL` and, with a glob, the tenant's own (`ACME_CORP_DATABASE_URL`).",
    pattern: new RegExp(`^(?!(?:${OF_THE_MACHINERY})$)[A-Za-z_][A-Za-z0-9_]{0,99}$`),
    accepted: 'the name of an environment variable that means nothing to the system, such as TENANT_DATABASE_URL',
  }),
  'drizzle-time-limit': durationInput({
    description: 'For `engine: drizzle-kit` and `check`: how long drizzle-kit may take each time it is run.',
    default: '15m',
    maxMs: 2 ** 31 - 1,
  }),
} as const;
