import { z } from 'zod';
import type { FaultRuleInput } from './faults/rules.js';

/** What can be chosen about a stand-in. */
export interface LocalNeonOptions {
  /** Port of the API; 0 (default) for a free one. */
  port?: number;
  /** Projects to start with, named `tenant-0001` and so on; default 0. */
  projects?: number;
  /** Added to each answer of the API, in milliseconds; default 0. */
  latencyMs?: number;
  /** The account's rate limit; none when absent. */
  rateLimitPerMinute?: number;
  /** Key that the API accepts; a random one by default. */
  apiKey?: string;
  /** Directory of `initdb` and `postgres`, or `embedded` for those of the npm package; found by itself when absent. */
  postgresBinDir?: string;
  /** Whether there is an S3 server; default true. */
  s3?: boolean;
  /** Whether PostgreSQL's data is in `/dev/shm`; by default when there is plenty of room, as it is ten times as fast. */
  inMemory?: boolean;
  /** How long the operations of one request take, in milliseconds; default 60. */
  operationMs?: number;
  /** How long an idle compute takes to start, in milliseconds; default 0. */
  coldStartMs?: number;
  /**
   * Record what a branch holds whenever a client asks for the position in the log (`pg_current_wal_insert_lsn()` and the like),
   * so that it can be restored to it. Costs a copy of the database each time; default false.
   */
  restorePoints?: boolean;
  /** Misbehaviour from the start. */
  faults?: readonly FaultRuleInput[];
  /** Receives what a person should know. Never a password. */
  log?: (line: string) => void;
}

const whole = (least: number, most: number) => z.int().min(least).max(most);

const schema = z.strictObject({
  port: whole(0, 65_535).default(0),
  projects: whole(0, 1_000_000).default(0),
  latencyMs: z.number().min(0).max(600_000).default(0),
  rateLimitPerMinute: whole(1, 1_000_000).optional(),
  apiKey: z.string().min(1).optional(),
  postgresBinDir: z.string().min(1).optional(),
  s3: z.boolean().default(true),
  inMemory: z.boolean().optional(),
  operationMs: z.number().min(0).max(600_000).default(60),
  coldStartMs: z.number().min(0).max(600_000).default(0),
  restorePoints: z.boolean().default(false),
  faults: z.unknown().optional(),
  log: z.unknown().optional(),
});

/** Options with their defaults. */
export type Settings = z.infer<typeof schema>;

/** Checks options. @throws Error with one line for each that is wrong */
export function settingsOf(options: LocalNeonOptions): Settings {
  const result = schema.safeParse(options);
  if (result.success) return result.data;
  const problems = result.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
  throw new Error(`bad options for local-neon:\n  ${problems.join('\n  ')}`);
}
