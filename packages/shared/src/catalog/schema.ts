import { sql } from 'drizzle-orm';
import {
  bigint,
  boolean,
  check,
  customType,
  index,
  integer,
  jsonb,
  pgSchema,
  primaryKey,
  text,
  timestamp,
  uuid,
} from 'drizzle-orm/pg-core';

/*
 * The catalog's tables. They are all in a schema of their own: what else is in that database is somebody else's.
 * `migrations.ts` makes them; a test holds the two against each other. docs/catalog.md has the picture.
 */

const citext = customType<{ data: string }>({ dataType: () => 'citext' });
const moment = (name: string) => timestamp(name, { withTimezone: true, mode: 'string' });

export const fleet = pgSchema('fleet');

/** Who pays: one for each tenant. The slug is the tenant's key. */
export const customer = fleet.table('customer', {
  id: uuid('id').primaryKey().defaultRandom(),
  slug: citext('slug').notNull().unique(),
  name: text('name').notNull(),
  createdAt: moment('created_at').notNull().defaultNow(),
});

export const PROJECT_STATUSES = ['creating', 'ready', 'retired', 'gone'] as const;
export type ProjectStatus = (typeof PROJECT_STATUSES)[number];

/** A Neon project of a customer, with what only we know about it. */
export const project = fleet.table(
  'project',
  {
    id: uuid('id').primaryKey().defaultRandom(),
    customerId: uuid('customer_id')
      .notNull()
      .references(() => customer.id),
    neonProjectId: text('neon_project_id').notNull().unique(),
    /** Ids of projects that this one took the place of, so that their backups are found. */
    predecessorIds: text('predecessor_ids')
      .array()
      .notNull()
      .default(sql`'{}'`),
    region: text('region').notNull(),
    postgresVersion: integer('postgres_version').notNull(),
    branchName: text('branch_name'),
    databaseName: text('database_name'),
    roleName: text('role_name'),
    schemaVersion: text('schema_version'),
    status: text('status', { enum: PROJECT_STATUSES }).notNull(),
    createdAt: moment('created_at').notNull().defaultNow(),
    readyAt: moment('ready_at'),
    closedAt: moment('closed_at'),
    /** Since when `schemaVersion` is what is known; of several reports the newest counts, in whatever order they come. */
    schemaVersionAt: moment('schema_version_at'),
  },
  (table) => [
    index('project_customer_id_idx').on(table.customerId),
    index('project_predecessor_ids_idx').using('gin', table.predecessorIds),
    check('project_status_check', sql`${table.status} IN ('creating', 'ready', 'retired', 'gone')`),
  ],
);

/**
 * That a database held exactly the migrations of a folder up to a version. A plan that trusts the catalog decides by it, so
 * that it is there only where it was read in the database itself.
 */
export const databaseVersion = fleet.table(
  'database_version',
  {
    projectId: uuid('project_id')
      .notNull()
      .references(() => project.id),
    /** As the inputs named it; empty: the default branch. */
    branchName: text('branch_name').notNull(),
    databaseName: text('database_name').notNull(),
    /** The table that says so, with its schema. */
    migrationsTable: text('migrations_table').notNull(),
    schemaVersion: text('schema_version').notNull(),
    /** Of the migrations up to that version. Null: something has gone wrong since, and it has to be looked at. */
    migrationsDigest: text('migrations_digest'),
    recordedAt: moment('recorded_at').notNull(),
  },
  (table) => [
    primaryKey({
      name: 'database_version_pk',
      columns: [table.projectId, table.branchName, table.databaseName, table.migrationsTable],
    }),
  ],
);

/** That somebody is about to create a project for a key: there can be one of them only. */
export const creationIntent = fleet.table('creation_intent', {
  slug: citext('slug').primaryKey(),
  /** The mark on the project that may or may not have been made. */
  attempt: uuid('attempt').notNull(),
  claimedAt: moment('claimed_at').notNull().defaultNow(),
  runUrl: text('run_url'),
});

export const migrationRun = fleet.table(
  'migration_run',
  {
    id: uuid('id').primaryKey().defaultRandom(),
    /** What makes writing the same run twice harmless. */
    runKey: text('run_key').notNull().unique(),
    action: text('action').notNull(),
    command: text('command').notNull(),
    verdict: text('verdict').notNull(),
    startedAt: moment('started_at').notNull(),
    durationMs: bigint('duration_ms', { mode: 'number' }).notNull(),
    runUrl: text('run_url'),
    actor: text('actor'),
  },
  (table) => [index('migration_run_started_at_idx').on(table.startedAt.desc())],
);

/** How each shard of a run ended, by its newest attempt; part 0 is the report over all of them. */
export const runPart = fleet.table(
  'run_part',
  {
    runId: uuid('run_id')
      .notNull()
      .references(() => migrationRun.id, { onDelete: 'cascade' }),
    part: integer('part').notNull(),
    attempt: integer('attempt').notNull(),
    verdict: text('verdict').notNull(),
  },
  (table) => [primaryKey({ columns: [table.runId, table.part] })],
);

/** The failures that each shard of a rollout has had so far: its error budget, which all of them share. */
export const shardFailures = fleet.table(
  'shard_failures',
  {
    planId: uuid('plan_id').notNull(),
    attempt: integer('attempt').notNull(),
    shard: integer('shard').notNull(),
    failures: integer('failures').notNull(),
    toldAt: moment('told_at').notNull().defaultNow(),
  },
  (table) => [
    primaryKey({ columns: [table.planId, table.attempt, table.shard] }),
    index('shard_failures_told_at_idx').on(table.toldAt),
  ],
);

export const migrationOutcome = fleet.table(
  'migration_outcome',
  {
    runId: uuid('run_id')
      .notNull()
      .references(() => migrationRun.id, { onDelete: 'cascade' }),
    projectId: uuid('project_id')
      .notNull()
      .references(() => project.id),
    databaseName: text('database_name').notNull(),
    status: text('status').notNull(),
    reason: text('reason'),
    fromVersion: text('from_version'),
    toVersion: text('to_version'),
    errorCode: text('error_code'),
    attempts: integer('attempts').notNull(),
    startedAt: moment('started_at').notNull(),
    durationMs: bigint('duration_ms', { mode: 'number' }).notNull(),
    /** It ended in a way after which what was known about the schema is not certain any more. */
    inDoubt: boolean('in_doubt').notNull().default(false),
    /** Of the run; what was there before the column was, provision had told. */
    action: text('action').notNull().default('provision'),
  },
  (table) => [
    primaryKey({ columns: [table.runId, table.projectId, table.databaseName] }),
    index('migration_outcome_project_id_started_at_idx').on(table.projectId, table.startedAt.desc()),
    index('migration_outcome_project_id_migrated_at_idx')
      .on(table.projectId, table.startedAt.desc())
      .where(sql`${table.action} <> 'backup'`),
  ],
);

export const backup = fleet.table(
  'backup',
  {
    id: uuid('id').primaryKey().defaultRandom(),
    projectId: uuid('project_id')
      .notNull()
      .references(() => project.id),
    databaseName: text('database_name').notNull(),
    storageKey: text('storage_key').notNull().unique(),
    sizeBytes: bigint('size_bytes', { mode: 'number' }).notNull(),
    sha256: text('sha256').notNull(),
    schemaVersion: text('schema_version'),
    createdAt: moment('created_at').notNull(),
    verifiedAt: moment('verified_at'),
    verifyOutcome: text('verify_outcome'),
    /** When it was deleted; the row stays, for those who ask what there was. */
    goneAt: moment('gone_at'),
  },
  (table) => [
    index('backup_project_id_created_at_idx').on(table.projectId, table.createdAt.desc()),
    index('backup_project_id_verified_at_idx')
      .on(table.projectId, table.verifiedAt.desc())
      .where(sql`${table.verifyOutcome} = 'passed'`),
  ],
);

/** Who did what, when, to whom. */
export const event = fleet.table(
  'event',
  {
    id: uuid('id').primaryKey().defaultRandom(),
    eventKey: text('event_key').notNull().unique(),
    at: moment('at').notNull(),
    action: text('action').notNull(),
    what: text('what').notNull(),
    projectId: uuid('project_id').references(() => project.id),
    actor: text('actor'),
    runUrl: text('run_url'),
    details: jsonb('details'),
  },
  (table) => [
    index('event_at_idx').on(table.at.desc()),
    index('event_project_id_at_idx').on(table.projectId, table.at.desc()),
  ],
);
