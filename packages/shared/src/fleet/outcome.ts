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

const restorePointSchema = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('lsn'),
    /** Host of the endpoint whose branch it is: where a connection is open anyway, this costs no question to the API. */
    host: z.string(),
    lsn: z.string(),
    takenAt: z.iso.datetime(),
    /** When the history of the project no longer reaches back so far; absent where that is not known. */
    usableUntil: z.iso.datetime().exactOptional(),
  }),
  z.object({
    kind: z.literal('branch'),
    branchId: z.string(),
    restoreBranchId: z.string(),
    name: z.string(),
    takenAt: z.iso.datetime(),
  }),
]);

const migrationSchema = z.object({
  /** Tag that the database was at before; absent: nothing had been applied. */
  from: z.string().exactOptional(),
  /** Tag that it is at now. */
  to: z.string().exactOptional(),
  /** Tags that this run applied, in their order. */
  applied: z.array(z.string()),
  /** Tags of which it is not known whether they took effect, because an answer was lost. */
  unsettled: z.array(z.string()).exactOptional(),
  /**
   * Whether something is there, or may be, that was not there before. It need not be in `applied`: a file that runs
   * outside a transaction may have been done in part.
   */
  changed: z.literal(true).exactOptional(),
  /** Tags that would be applied: of a plan or a dry run. */
  pending: z.array(z.string()).exactOptional(),
  restorePoint: restorePointSchema.exactOptional(),
  /**
   * Read in the database: it has all of the folder's migrations up to `to`, and no other. The table that says so, and a
   * digest of those migrations.
   */
  verified: z.object({ table: z.string(), digest: z.string() }).exactOptional(),
});

/** What any result may carry. */
const everyResult = { detail: z.string(), migration: migrationSchema.exactOptional() };

const resultSchemas = {
  succeeded: z.object({ status: z.literal('succeeded'), ...everyResult }),
  unchanged: z.object({ status: z.literal('unchanged'), reason: z.enum(UNCHANGED_REASONS), ...everyResult }),
  failed: z.object({
    status: z.literal('failed'),
    ...everyResult,
    error: explanationSchema,
    /** Neon or the way to the database failed, not the work: feeds the breaker instead of the error budget. */
    infrastructure: z.literal(true).exactOptional(),
    /** Nobody else is started after this, in no shard and in no wave. */
    stopsRollout: z.literal(true).exactOptional(),
  }),
  rolledBack: z.object({ status: z.literal('rolled-back'), ...everyResult, error: explanationSchema }),
  skipped: z.object({
    status: z.literal('skipped'),
    reason: z.enum(SKIP_REASONS),
    ...everyResult,
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

/** What a migration did to a tenant; kept in reports so that it can be undone. */
export type MigrationRecord = Readonly<z.infer<typeof migrationSchema>>;

/** Where a database can be put back to. */
export type RestorePoint = Readonly<z.infer<typeof restorePointSchema>>;

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
