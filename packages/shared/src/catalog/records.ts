import { z } from 'zod';

import { PROJECT_STATUSES } from './schema.js';

/*
 * What the actions tell the catalog: plain data without anything secret, so that it can be kept in a file while the
 * catalog cannot be reached, and be told later.
 */

const projectRecordSchema = z.object({
  key: z.string(),
  name: z.string(),
  projectId: z.string(),
  regionId: z.string(),
  pgVersion: z.int(),
  branch: z.string().exactOptional(),
  database: z.string().exactOptional(),
  role: z.string().exactOptional(),
  schemaVersion: z.string().exactOptional(),
  status: z.enum(PROJECT_STATUSES),
  readyAt: z.iso.datetime().exactOptional(),
});

const outcomeRecordSchema = z.object({
  projectId: z.string(),
  name: z.string(),
  /** Absent: the tenant's name. */
  key: z.string().exactOptional(),
  /** With both of these a project that the catalog does not know is registered. */
  regionId: z.string().exactOptional(),
  pgVersion: z.int().exactOptional(),
  /** As the inputs named it; absent: the default branch. */
  branch: z.string().exactOptional(),
  database: z.string(),
  /** Whether the database's name was only assumed: it says nothing about where the tenant's data is then. */
  isDatabaseAssumed: z.literal(true).exactOptional(),
  role: z.string().exactOptional(),
  status: z.string(),
  reason: z.string().exactOptional(),
  from: z.string().exactOptional(),
  to: z.string().exactOptional(),
  /** That `to` is where the database is now, or, without a `to`, that it has no migration. */
  isVersionKnown: z.literal(true).exactOptional(),
  /** Read in the database: the table that records the migrations, and a digest of those up to `to`. */
  verified: z.object({ table: z.string(), digest: z.string() }).exactOptional(),
  /** What was known about the project's schema before is not certain any more. */
  inDoubt: z.literal(true).exactOptional(),
  errorCode: z.string().exactOptional(),
  attempts: z.int(),
  startedAt: z.iso.datetime(),
  durationMs: z.number(),
});

const runRecordSchema = z.object({
  runKey: z.string().min(1),
  action: z.string(),
  command: z.string(),
  verdict: z.string(),
  startedAt: z.iso.datetime(),
  durationMs: z.number(),
  runUrl: z.string().exactOptional(),
  actor: z.string().exactOptional(),
  /** Of a run over several jobs: which shard it is, or 0 for the report over all of them, and which attempt. */
  part: z.object({ number: z.int().nonnegative(), attempt: z.int().positive() }).exactOptional(),
  outcomes: z.array(outcomeRecordSchema),
});

const backupRecordSchema = z.object({
  projectId: z.string(),
  database: z.string(),
  storageKey: z.string(),
  sizeBytes: z.number(),
  sha256: z.string(),
  schemaVersion: z.string().exactOptional(),
  createdAt: z.iso.datetime(),
  verifiedAt: z.iso.datetime().exactOptional(),
  verifyOutcome: z.enum(['passed', 'failed']).exactOptional(),
});

const eventRecordSchema = z.object({
  eventKey: z.string().min(1),
  at: z.iso.datetime(),
  action: z.string(),
  what: z.string(),
  projectId: z.string().exactOptional(),
  actor: z.string().exactOptional(),
  runUrl: z.string().exactOptional(),
  details: z.record(z.string(), z.unknown()).exactOptional(),
});

const closureRecordSchema = z.object({
  projectId: z.string(),
  status: z.enum(['retired', 'gone']),
  at: z.iso.datetime(),
});

/** What is written at once. */
export const catalogBatchSchema = z.object({
  schemaVersion: z.literal(1),
  projects: z.array(projectRecordSchema).exactOptional(),
  run: runRecordSchema.exactOptional(),
  backups: z.array(backupRecordSchema).exactOptional(),
  /** Keys of backups that were deleted; of what is no backup, or not known, nothing is kept. */
  backupsGone: z.object({ storageKeys: z.array(z.string()), at: z.iso.datetime() }).exactOptional(),
  events: z.array(eventRecordSchema).exactOptional(),
  /** Projects that are not there any more; after everything else, as the same batch may be the first to know them. */
  closures: z.array(closureRecordSchema).exactOptional(),
});

export type ProjectRecord = Readonly<z.infer<typeof projectRecordSchema>>;
export type OutcomeRecord = Readonly<z.infer<typeof outcomeRecordSchema>>;
export type RunRecord = Readonly<z.infer<typeof runRecordSchema>>;
export type BackupRecord = Readonly<z.infer<typeof backupRecordSchema>>;
export type EventRecord = Readonly<z.infer<typeof eventRecordSchema>>;
export type CatalogBatch = Readonly<z.infer<typeof catalogBatchSchema>>;
