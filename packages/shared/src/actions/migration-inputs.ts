import { DRIZZLE_TABLE } from '../drizzle/index.js';
import { durationInput, patternInput } from './inputs.js';

const MAX_SERVER_TIMEOUT_MS = 2 ** 31 - 1; // PostgreSQL keeps its timeouts in 32 bits

const SQL_NAME = { pattern: /^[^\0]{1,63}$/, accepted: 'a name of at most 63 characters' } as const;

/** How migrations are applied, wherever that happens. */
export const migrationInputs = {
  'migrations-schema': patternInput({
    description: "Schema of drizzle's own table, as in the `migrations` part of drizzle.config.",
    default: DRIZZLE_TABLE.schema,
    ...SQL_NAME,
  }),
  'migrations-table': patternInput({
    description: "Name of drizzle's own table, as in the `migrations` part of drizzle.config.",
    default: DRIZZLE_TABLE.table,
    ...SQL_NAME,
  }),
  'lock-wait': durationInput({
    description: 'How long to wait for another run that works on the same tenant before skipping it as `locked`.',
    default: '60s',
    maxMs: MAX_SERVER_TIMEOUT_MS,
  }),
  'lock-timeout': durationInput({
    description:
      "How long a statement may wait for a table lock. Customers' queries queue behind it, so keep it short (PostgreSQL's `lock_timeout`).",
    default: '5s',
    maxMs: MAX_SERVER_TIMEOUT_MS,
  }),
  'statement-timeout': durationInput({
    description: "How long one statement may run (PostgreSQL's `statement_timeout`).",
    default: '15m',
    maxMs: MAX_SERVER_TIMEOUT_MS,
  }),
} as const;
