import { linesInput, textInput } from '@neon-fleet/shared/actions';

/** What `command: baseline` takes besides what every command does. */
export const baselineInputs = {
  at: textInput({
    description:
      'For `baseline`: the migration whose version the tenants are said to have, such as `0003_add_invoices`. They are adopted only where that is so.',
  }),
  'scratch-url': textInput({
    description:
      "For `baseline`: URI of a PostgreSQL of the tenants' major version where databases may be made, to build in it what the migrations make. Default: a scratch database on the first tenant's own server, removed again.",
    secret: true,
    accepted: 'a postgresql:// URI',
  }),
  'ignore-schemas': linesInput({
    description: 'For `baseline`: schemas that are none of the migrations’ business, one a line.',
    default: 'neon\nneon_auth',
    accepted: 'names of schemas, one a line',
  }),
} as const;
