import { z } from 'zod';

/** Why a tenant needed nothing. */
export const UNCHANGED_REASONS = ['up-to-date', 'idle-since-last-backup', 'not-due'] as const;

/** Why a tenant was left alone although there may be work for it. */
export const SKIP_REASONS = [
  'canary-failed',
  'budget',
  'deadline',
  'cancelled',
  'neon-unavailable',
  'locked',
  'quota-suspended',
  'drift',
  'creating',
  'gone',
  'unlisted',
  'ip-restricted',
] as const;

export type UnchangedReason = (typeof UNCHANGED_REASONS)[number];
export type SkipReason = (typeof SKIP_REASONS)[number];

const explanationSchema = z.object({
  message: z.string(),
  code: z.string().exactOptional(),
  hint: z.string().exactOptional(),
});

const resultSchemas = {
  succeeded: z.object({ status: z.literal('succeeded'), detail: z.string() }),
  unchanged: z.object({ status: z.literal('unchanged'), reason: z.enum(UNCHANGED_REASONS), detail: z.string() }),
  failed: z.object({ status: z.literal('failed'), detail: z.string(), error: explanationSchema }),
  rolledBack: z.object({ status: z.literal('rolled-back'), detail: z.string(), error: explanationSchema }),
  skipped: z.object({
    status: z.literal('skipped'),
    reason: z.enum(SKIP_REASONS),
    detail: z.string(),
    error: explanationSchema.exactOptional(),
  }),
};

const identitySchema = z.object({
  projectId: z.string(),
  name: z.string(),
  database: z.string(),
  attempts: z.int().nonnegative(),
  startedAt: z.iso.datetime(),
  durationMs: z.number().nonnegative(),
});

/** What became of one tenant in one run; every planned tenant has exactly one. */
export const outcomeSchema = z.discriminatedUnion('status', [
  identitySchema.extend(resultSchemas.succeeded.shape),
  identitySchema.extend(resultSchemas.unchanged.shape),
  identitySchema.extend(resultSchemas.failed.shape),
  identitySchema.extend(resultSchemas.rolledBack.shape),
  identitySchema.extend(resultSchemas.skipped.shape),
]);

export type Outcome = Readonly<z.infer<typeof outcomeSchema>>;
export type OutcomeStatus = Outcome['status'];

/** What the work on one tenant returns: an outcome without the part that the engine knows (who, when, how long). */
export type TenantResult = Readonly<
  | z.infer<typeof resultSchemas.succeeded>
  | z.infer<typeof resultSchemas.unchanged>
  | z.infer<typeof resultSchemas.failed>
  | z.infer<typeof resultSchemas.rolledBack>
  | z.infer<typeof resultSchemas.skipped>
>;

/** The same for the part that says who and when. */
export type OutcomeIdentity = Readonly<z.infer<typeof identitySchema>>;
