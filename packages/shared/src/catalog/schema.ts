import { sql } from 'drizzle-orm';
import {
  bigint,
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
  },
  (table) => [
    index('project_customer_id_idx').on(table.customerId),
    index('project_predecessor_ids_idx').using('gin', table.predecessorIds),
    check('project_status_check', sql`${table.status} IN ('creating', 'ready', 'retired', 'gone')`),
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
  },
  (table) => [
    primaryKey({ columns: [table.runId, table.projectId, table.databaseName] }),
    index('migration_outcome_project_id_started_at_idx').on(table.projectId, table.startedAt.desc()),
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
