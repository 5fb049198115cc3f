import { ExplainedError } from '../errors/index.js';
import { PostgresError, takeLock, type Connection } from '../postgres/index.js';

/*
 * The catalog's own migrations, as text in the program, so that they are in every bundle. Never change one that was
 * released: add another.
 */
export const CATALOG_MIGRATIONS: readonly { readonly tag: string; readonly sql: string }[] = [
  {
    tag: '0000_catalog',
    sql: `
CREATE TABLE fleet.customer (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
  slug citext NOT NULL CONSTRAINT customer_slug_unique UNIQUE,
  name text NOT NULL,
  created_at timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE fleet.project (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
  customer_id uuid NOT NULL CONSTRAINT project_customer_id_customer_id_fk REFERENCES fleet.customer (id),
  neon_project_id text NOT NULL CONSTRAINT project_neon_project_id_unique UNIQUE,
  predecessor_ids text[] DEFAULT '{}' NOT NULL,
  region text NOT NULL,
  postgres_version integer NOT NULL,
  branch_name text,
  database_name text,
  role_name text,
  schema_version text,
  status text NOT NULL,
  created_at timestamp with time zone DEFAULT now() NOT NULL,
  ready_at timestamp with time zone,
  closed_at timestamp with time zone,
  CONSTRAINT project_status_check CHECK (status IN ('creating', 'ready', 'retired', 'gone'))
);
CREATE INDEX project_customer_id_idx ON fleet.project (customer_id);
CREATE INDEX project_predecessor_ids_idx ON fleet.project USING gin (predecessor_ids);
CREATE TABLE fleet.creation_intent (
  slug citext PRIMARY KEY NOT NULL,
  attempt uuid NOT NULL,
  claimed_at timestamp with time zone DEFAULT now() NOT NULL,
  run_url text
);
CREATE TABLE fleet.migration_run (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
  run_key text NOT NULL CONSTRAINT migration_run_run_key_unique UNIQUE,
  action text NOT NULL,
  command text NOT NULL,
  verdict text NOT NULL,
  started_at timestamp with time zone NOT NULL,
  duration_ms bigint NOT NULL,
  run_url text,
  actor text
);
CREATE INDEX migration_run_started_at_idx ON fleet.migration_run (started_at DESC NULLS LAST);
CREATE TABLE fleet.migration_outcome (
  run_id uuid NOT NULL CONSTRAINT migration_outcome_run_id_migration_run_id_fk REFERENCES fleet.migration_run (id) ON DELETE CASCADE,
  project_id uuid NOT NULL CONSTRAINT migration_outcome_project_id_project_id_fk REFERENCES fleet.project (id),
  database_name text NOT NULL,
  status text NOT NULL,
  reason text,
  from_version text,
  to_version text,
  error_code text,
  attempts integer NOT NULL,
  started_at timestamp with time zone NOT NULL,
  duration_ms bigint NOT NULL,
  CONSTRAINT migration_outcome_run_id_project_id_database_name_pk PRIMARY KEY (run_id, project_id, database_name)
);
CREATE INDEX migration_outcome_project_id_started_at_idx ON fleet.migration_outcome (project_id, started_at DESC NULLS LAST);
CREATE TABLE fleet.backup (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
  project_id uuid NOT NULL CONSTRAINT backup_project_id_project_id_fk REFERENCES fleet.project (id),
  database_name text NOT NULL,
  storage_key text NOT NULL CONSTRAINT backup_storage_key_unique UNIQUE,
  size_bytes bigint NOT NULL,
  sha256 text NOT NULL,
  schema_version text,
  created_at timestamp with time zone NOT NULL,
  verified_at timestamp with time zone,
  verify_outcome text
);
CREATE INDEX backup_project_id_created_at_idx ON fleet.backup (project_id, created_at DESC NULLS LAST);
CREATE INDEX backup_project_id_verified_at_idx ON fleet.backup (project_id, verified_at DESC NULLS LAST) WHERE verify_outcome = 'passed';
CREATE TABLE fleet.event (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
  event_key text NOT NULL CONSTRAINT event_event_key_unique UNIQUE,
  at timestamp with time zone NOT NULL,
  action text NOT NULL,
  what text NOT NULL,
  project_id uuid CONSTRAINT event_project_id_project_id_fk REFERENCES fleet.project (id),
  actor text,
  run_url text,
  details jsonb
);
CREATE INDEX event_at_idx ON fleet.event (at DESC NULLS LAST);
CREATE INDEX event_project_id_at_idx ON fleet.event (project_id, at DESC NULLS LAST);
`,
  },
  {
    tag: '0001_version_of_each_database',
    sql: `
ALTER TABLE fleet.project ADD COLUMN schema_version_at timestamp with time zone;
CREATE TABLE fleet.database_version (
  project_id uuid NOT NULL CONSTRAINT database_version_project_id_project_id_fk REFERENCES fleet.project (id),
  branch_name text NOT NULL,
  database_name text NOT NULL,
  migrations_table text NOT NULL,
  schema_version text NOT NULL,
  migrations_digest text,
  recorded_at timestamp with time zone NOT NULL,
  CONSTRAINT database_version_pk PRIMARY KEY (project_id, branch_name, database_name, migrations_table)
);
ALTER TABLE fleet.migration_outcome ADD COLUMN in_doubt boolean DEFAULT false NOT NULL;
ALTER TABLE fleet.migration_outcome ADD COLUMN action text DEFAULT 'provision' NOT NULL;
CREATE INDEX migration_outcome_project_id_migrated_at_idx ON fleet.migration_outcome (project_id, started_at DESC NULLS LAST) WHERE action <> 'backup';
CREATE TABLE fleet.run_part (
  run_id uuid NOT NULL CONSTRAINT run_part_run_id_migration_run_id_fk REFERENCES fleet.migration_run (id) ON DELETE CASCADE,
  part integer NOT NULL,
  attempt integer NOT NULL,
  verdict text NOT NULL,
  CONSTRAINT run_part_run_id_part_pk PRIMARY KEY (run_id, part)
);
CREATE TABLE fleet.shard_failures (
  plan_id uuid NOT NULL,
  attempt integer NOT NULL,
  shard integer NOT NULL,
  failures integer NOT NULL,
  told_at timestamp with time zone DEFAULT now() NOT NULL,
  CONSTRAINT shard_failures_plan_id_attempt_shard_pk PRIMARY KEY (plan_id, attempt, shard)
);
CREATE INDEX shard_failures_told_at_idx ON fleet.shard_failures (told_at);
ALTER TABLE fleet.backup ADD COLUMN gone_at timestamp with time zone;
`,
  },
];

const LOCK_WAIT_MS = 60_000;
const UNDEFINED_TABLE = '42P01';
const INVALID_SCHEMA = '3F000';

/**
 * Brings the catalog to the version of this program: under a lock, each migration in a transaction with the record of it.
 * A catalog that is newer is refused: an older program does not know what its columns mean.
 *
 * @throws ExplainedError, PostgresError.
 */
export async function migrateCatalog(connection: Connection, signal?: AbortSignal): Promise<void> {
  if ((await missing(connection)).length === 0) return;
  const isMine = await takeLock(connection, {
    mode: 'exclusive',
    waitMs: LOCK_WAIT_MS,
    ...(signal === undefined ? {} : { signal }),
  });
  if (!isMine) {
    throw new ExplainedError({
      message: 'another run holds the lock of the catalog, and has for a minute',
      hint: 'Is catalog-url the database of a tenant? It needs one of its own.',
    });
  }
  try {
    for (const { tag, sql } of await missing(connection)) {
      await connection.query('BEGIN');
      try {
        await connection.query(
          `CREATE SCHEMA IF NOT EXISTS fleet;
           CREATE EXTENSION IF NOT EXISTS citext;
           CREATE TABLE IF NOT EXISTS fleet.catalog_migration (tag text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())`,
        );
        await connection.query(sql);
        await connection.query('INSERT INTO fleet.catalog_migration (tag) VALUES ($1)', [tag]);
        await connection.query('COMMIT');
      } catch (thrown) {
        await connection.query('ROLLBACK').catch(() => undefined);
        throw thrown;
      }
    }
  } finally {
    await connection.query('SELECT pg_advisory_unlock_all()').catch(() => undefined);
  }
}

async function missing(connection: Pick<Connection, 'query'>): Promise<typeof CATALOG_MIGRATIONS> {
  const applied = await appliedTags(connection);
  const unknown = applied.filter((tag) => !CATALOG_MIGRATIONS.some((migration) => migration.tag === tag));
  if (unknown.length > 0) {
    throw new ExplainedError({
      message: `the catalog is newer than this version of neon-fleet (${unknown.join(', ')})`,
      hint: 'Use the newest version of neon-fleet in every workflow that has this catalog-url.',
    });
  }
  return CATALOG_MIGRATIONS.filter(({ tag }) => !applied.includes(tag));
}

async function appliedTags(connection: Pick<Connection, 'query'>): Promise<string[]> {
  try {
    const rows = await connection.query('SELECT tag FROM fleet.catalog_migration ORDER BY tag');
    return rows.map(({ tag }) => String(tag));
  } catch (thrown) {
    if (thrown instanceof PostgresError && [UNDEFINED_TABLE, INVALID_SCHEMA].includes(thrown.sqlState ?? '')) return [];
    throw thrown;
  }
}
