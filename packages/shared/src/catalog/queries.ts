/*
 * Every statement that the actions send to the catalog. Reads go page by page along an index, writes take a whole batch
 * as one JSON parameter. A test explains each of them.
 */

const PROJECT_COLUMNS = `c.slug::text AS key, c.name, p.neon_project_id AS "projectId", p.region AS "regionId",
  p.postgres_version AS "pgVersion", p.branch_name AS branch, p.database_name AS database, p.role_name AS role,
  p.schema_version AS "schemaVersion", p.status, p.predecessor_ids AS "predecessorIds"`;

/** $1: the last project id of the page before, $2: how many. */
const TENANTS = `SELECT ${PROJECT_COLUMNS}
  FROM fleet.project p JOIN fleet.customer c ON c.id = p.customer_id
  WHERE p.neon_project_id > $1 AND p.status IN ('creating', 'ready')
  ORDER BY p.neon_project_id LIMIT $2`;

const STATUS = `SELECT ${PROJECT_COLUMNS}, newest.created_at AS "backupAt", newest.size_bytes AS "backupBytes",
    verified.verified_at AS "verifiedAt", last.status AS outcome, last.reason, last.error_code AS "errorCode",
    last.started_at AS "outcomeAt", run.run_url AS "runUrl", run.run_key AS "runKey"
  FROM fleet.project p JOIN fleet.customer c ON c.id = p.customer_id
  LEFT JOIN LATERAL (SELECT b.created_at, b.size_bytes FROM fleet.backup b WHERE b.project_id = p.id AND b.gone_at IS NULL
    ORDER BY b.created_at DESC NULLS LAST LIMIT 1) newest ON true
  LEFT JOIN LATERAL (SELECT b.verified_at FROM fleet.backup b WHERE b.project_id = p.id AND b.verify_outcome = 'passed'
    AND b.gone_at IS NULL ORDER BY b.verified_at DESC NULLS LAST LIMIT 1) verified ON true
  LEFT JOIN LATERAL (SELECT o.status, o.reason, o.error_code, o.started_at, o.run_id FROM fleet.migration_outcome o
    WHERE o.project_id = p.id AND o.action <> 'backup' ORDER BY o.started_at DESC NULLS LAST LIMIT 1) last ON true
  LEFT JOIN fleet.migration_run run ON run.id = last.run_id
  WHERE p.neon_project_id > $1 AND p.status IN ('creating', 'ready')
  ORDER BY p.neon_project_id LIMIT $2`;

/** $1 and $2 as above: what each database was certainly at. Projects of which nothing is certain are left out. */
const VERSIONS = `SELECT p.neon_project_id AS "projectId", each.versions
  FROM fleet.project p CROSS JOIN LATERAL (SELECT jsonb_agg(jsonb_build_object('branch', v.branch_name,
      'database', v.database_name, 'table', v.migrations_table, 'version', v.schema_version,
      'digest', v.migrations_digest)) AS versions
    FROM fleet.database_version v WHERE v.project_id = p.id AND v.migrations_digest IS NOT NULL) each
  WHERE p.neon_project_id > $1 AND p.status IN ('creating', 'ready') AND each.versions IS NOT NULL
  ORDER BY p.neon_project_id LIMIT $2`;

// With a limit these are looked up row by row along the index, whatever the planner thinks of the length of a batch.
const CUSTOMER_OF_SLUG = '(SELECT c.id FROM fleet.customer c WHERE c.slug = given.slug::citext LIMIT 1)';
const PROJECT_OF_ID =
  '(SELECT p.id, p.customer_id FROM fleet.project p WHERE p.neon_project_id = given.neon_project_id LIMIT 1)';

const GIVEN_PROJECTS = `jsonb_to_recordset($1::jsonb) AS given (slug text, name text, neon_project_id text, region text,
  postgres_version int, branch_name text, database_name text, role_name text, schema_version text, status text, ready_at timestamptz)`;

const REGISTER_CUSTOMERS = `INSERT INTO fleet.customer (slug, name)
  SELECT DISTINCT ON (lower(given.slug)) given.slug, given.name FROM ${GIVEN_PROJECTS}
  ON CONFLICT (slug) DO UPDATE SET name = EXCLUDED.name WHERE customer.name <> EXCLUDED.name`;

/**
 * A project that was retired stays so whatever is told late, or listed late: only somebody who made it ready after that, as
 * one that was recovered, opens it again.
 */
const STAYS_RETIRED = `p.status = 'retired' AND (EXCLUDED.ready_at > p.closed_at) IS NOT TRUE`;

const REGISTER_PROJECTS = `INSERT INTO fleet.project AS p (customer_id, neon_project_id, region, postgres_version, branch_name,
    database_name, role_name, schema_version, status, ready_at)
  SELECT c.id, given.neon_project_id, given.region, given.postgres_version, given.branch_name, given.database_name,
    given.role_name, given.schema_version, given.status, given.ready_at
  FROM ${GIVEN_PROJECTS} CROSS JOIN LATERAL ${CUSTOMER_OF_SLUG} c
  ON CONFLICT (neon_project_id) DO UPDATE SET customer_id = EXCLUDED.customer_id, region = EXCLUDED.region,
    postgres_version = EXCLUDED.postgres_version,
    branch_name = EXCLUDED.branch_name, database_name = EXCLUDED.database_name, role_name = EXCLUDED.role_name,
    schema_version = COALESCE(EXCLUDED.schema_version, p.schema_version),
    status = CASE WHEN ${STAYS_RETIRED} OR (p.status = 'ready' AND EXCLUDED.status = 'creating') THEN p.status ELSE EXCLUDED.status END,
    ready_at = COALESCE(p.ready_at, EXCLUDED.ready_at), closed_at = CASE WHEN ${STAYS_RETIRED} THEN p.closed_at END`;

const GIVEN_OUTCOMES = `jsonb_to_recordset($1::jsonb) AS given (neon_project_id text, name text, slug text, region text,
  postgres_version int, branch_name text, database_name text, database_assumed boolean, role_name text, status text,
  reason text, from_version text, to_version text, version_known boolean, migrations_table text, migrations_digest text,
  in_doubt boolean, error_code text, attempts int, started_at timestamptz, duration_ms bigint)`;

/** Tenants that the catalog does not know yet are learnt from the runs over them. */
const LEARN_CUSTOMERS = `INSERT INTO fleet.customer (slug, name)
  SELECT DISTINCT ON (lower(given.slug)) given.slug, given.name FROM ${GIVEN_OUTCOMES}
  WHERE given.region IS NOT NULL
    AND NOT EXISTS (SELECT FROM fleet.project p WHERE p.neon_project_id = given.neon_project_id)
  ON CONFLICT (slug) DO NOTHING`;

const LEARN_PROJECTS = `INSERT INTO fleet.project (customer_id, neon_project_id, region, postgres_version, database_name, role_name, status)
  SELECT DISTINCT ON (given.neon_project_id) c.id, given.neon_project_id, given.region, given.postgres_version,
    CASE WHEN given.database_assumed THEN NULL ELSE given.database_name END, given.role_name, 'ready'
  FROM ${GIVEN_OUTCOMES} CROSS JOIN LATERAL ${CUSTOMER_OF_SLUG} c
  WHERE given.region IS NOT NULL
    AND NOT EXISTS (SELECT FROM fleet.project p WHERE p.neon_project_id = given.neon_project_id)
  ON CONFLICT (neon_project_id) DO NOTHING`;

/** The row stays locked until the transaction ends: of several shards that end at once, one after the other settles it. */
const RECORD_RUN = `INSERT INTO fleet.migration_run AS r (run_key, action, command, verdict, started_at, duration_ms, run_url, actor)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
  ON CONFLICT (run_key) DO UPDATE SET started_at = LEAST(r.started_at, EXCLUDED.started_at),
    duration_ms = EXTRACT(EPOCH FROM GREATEST(r.started_at + r.duration_ms * interval '1 millisecond',
      EXCLUDED.started_at + EXCLUDED.duration_ms * interval '1 millisecond') - LEAST(r.started_at, EXCLUDED.started_at)) * 1000
  RETURNING id`;

/** $1 run, $2 part, $3 attempt, $4 verdict. An older attempt that is told later does not count. */
const RECORD_PART = `INSERT INTO fleet.run_part AS part (run_id, part, attempt, verdict) VALUES ($1, $2, $3, $4)
  ON CONFLICT (run_id, part) DO UPDATE SET attempt = EXCLUDED.attempt, verdict = EXCLUDED.verdict
  WHERE EXCLUDED.attempt >= part.attempt`;

/** The worst verdict of all parts counts. A report that is older than a shard's newest attempt does not know about it. */
const SETTLE_VERDICT = `UPDATE fleet.migration_run AS r SET verdict = worst.verdict
  FROM (SELECT part.verdict FROM fleet.run_part part WHERE part.run_id = $1 AND (part.part > 0
      OR part.attempt >= (SELECT max(shard.attempt) FROM fleet.run_part shard WHERE shard.run_id = $1))
    ORDER BY array_position(ARRAY['failed', 'incomplete', 'succeeded'], part.verdict) LIMIT 1) worst
  WHERE r.id = $1`;

const RECORD_OUTCOMES = `INSERT INTO fleet.migration_outcome AS o (run_id, project_id, database_name, status, reason, from_version,
    to_version, error_code, attempts, started_at, duration_ms, in_doubt, action)
  SELECT $2::uuid, p.id, given.database_name, given.status, given.reason, given.from_version, given.to_version,
    given.error_code, given.attempts, given.started_at, given.duration_ms, COALESCE(given.in_doubt, false), $3
  FROM ${GIVEN_OUTCOMES} CROSS JOIN LATERAL ${PROJECT_OF_ID} p
  ON CONFLICT (run_id, project_id, database_name) DO UPDATE SET status = EXCLUDED.status, reason = EXCLUDED.reason,
    from_version = EXCLUDED.from_version, to_version = EXCLUDED.to_version, error_code = EXCLUDED.error_code,
    attempts = EXCLUDED.attempts, started_at = EXCLUDED.started_at, duration_ms = EXCLUDED.duration_ms,
    in_doubt = EXCLUDED.in_doubt
  WHERE EXCLUDED.started_at >= o.started_at`;

/**
 * The version of a project is that of its own database on its own branch. An older run that is written later does not
 * turn it back.
 */
const RECORD_VERSIONS = `UPDATE fleet.project AS p SET schema_version = newest.to_version, schema_version_at = newest.started_at
  FROM (SELECT DISTINCT ON (home.id) home.id, given.to_version, given.started_at
    FROM ${GIVEN_OUTCOMES} CROSS JOIN LATERAL (SELECT h.id, h.branch_name, h.database_name, h.schema_version_at
      FROM fleet.project h WHERE h.neon_project_id = given.neon_project_id LIMIT 1) home
    WHERE given.version_known AND given.branch_name IS NOT DISTINCT FROM home.branch_name
      AND (given.database_assumed OR given.database_name = COALESCE(home.database_name, given.database_name))
      AND (home.schema_version_at IS NULL OR home.schema_version_at <= given.started_at)
    ORDER BY home.id, given.started_at DESC) newest
  WHERE p.id = newest.id`;

/** What was read before something went wrong in a project is not certain any more, on whichever branch it was read. */
const DOUBT_VERSIONS = `UPDATE fleet.database_version AS v SET migrations_digest = NULL
  FROM ${GIVEN_OUTCOMES} CROSS JOIN LATERAL ${PROJECT_OF_ID} p
  WHERE given.in_doubt AND v.project_id = p.id AND v.recorded_at <= given.started_at`;

/** $1: ids of projects that are about to be put back: a process that is killed there leaves no certainty behind. */
const DOUBT_PROJECTS = `UPDATE fleet.database_version AS v SET migrations_digest = NULL
  FROM fleet.project p WHERE p.neon_project_id = ANY ($1::text[]) AND v.project_id = p.id`;

/** The same for what is told later than it happened. */
const KEEP_VERSIONS = `INSERT INTO fleet.database_version AS v (project_id, branch_name, database_name, migrations_table,
    schema_version, migrations_digest, recorded_at)
  SELECT p.id, COALESCE(given.branch_name, ''), given.database_name, given.migrations_table, given.to_version,
    given.migrations_digest, given.started_at
  FROM ${GIVEN_OUTCOMES} CROSS JOIN LATERAL ${PROJECT_OF_ID} p
  WHERE given.migrations_digest IS NOT NULL AND given.to_version IS NOT NULL
    AND NOT EXISTS (SELECT FROM fleet.migration_outcome o WHERE o.project_id = p.id
      AND o.started_at >= given.started_at AND o.in_doubt LIMIT 1)
  ON CONFLICT (project_id, branch_name, database_name, migrations_table) DO UPDATE SET
    schema_version = EXCLUDED.schema_version, migrations_digest = EXCLUDED.migrations_digest,
    recorded_at = EXCLUDED.recorded_at
  WHERE EXCLUDED.recorded_at >= v.recorded_at`;

const RECORD_BACKUPS = `INSERT INTO fleet.backup AS b (project_id, database_name, storage_key, size_bytes, sha256, schema_version,
    created_at, verified_at, verify_outcome)
  SELECT p.id, given.database_name, given.storage_key, given.size_bytes, given.sha256, given.schema_version,
    given.created_at, given.verified_at, given.verify_outcome
  FROM jsonb_to_recordset($1::jsonb) AS given (neon_project_id text, database_name text, storage_key text, size_bytes bigint,
    sha256 text, schema_version text, created_at timestamptz, verified_at timestamptz, verify_outcome text)
  CROSS JOIN LATERAL ${PROJECT_OF_ID} p
  ON CONFLICT (storage_key) DO UPDATE SET verified_at = EXCLUDED.verified_at, verify_outcome = EXCLUDED.verify_outcome
  WHERE EXCLUDED.verified_at >= COALESCE(b.verified_at, '-infinity')`;

/** $1 keys, $2 when. */
const CLOSE_BACKUPS = `UPDATE fleet.backup SET gone_at = $2 WHERE storage_key = ANY ($1::text[]) AND gone_at IS NULL`;

/** $1 plan, $2 attempt, $3 shard, $4 how many it has had so far. */
const TELL_FAILURES = `INSERT INTO fleet.shard_failures (plan_id, attempt, shard, failures) VALUES ($1, $2, $3, $4)
  ON CONFLICT (plan_id, attempt, shard) DO UPDATE SET failures = EXCLUDED.failures, told_at = now()`;

/** A shard with failures is run again by every later attempt, so that those of an older one do not count. */
const SUM_FAILURES = `SELECT COALESCE(sum(failures), 0)::int AS failures FROM fleet.shard_failures
  WHERE plan_id = $1 AND attempt = $2`;

const FORGET_FAILURES = `DELETE FROM fleet.shard_failures WHERE told_at < now() - interval '30 days'`;

/** Neon says to every session which project it is in; elsewhere there is no such setting. */
const OWN_PROJECT = `SELECT current_setting('neon.project_id', true) AS id`;

const RECORD_EVENTS = `INSERT INTO fleet.event (event_key, at, action, what, project_id, actor, run_url, details)
  SELECT given.event_key, given.at, given.action, given.what, p.id, given.actor, given.run_url, given.details
  FROM jsonb_to_recordset($1::jsonb) AS given (event_key text, at timestamptz, action text, what text, neon_project_id text,
    actor text, run_url text, details jsonb)
  LEFT JOIN LATERAL ${PROJECT_OF_ID} p ON true
  ON CONFLICT (event_key) DO NOTHING`;

/** $1: ids that are not there any more, $3: since when. That somebody here did it is more than that it is gone. */
const CLOSE_PROJECTS = `UPDATE fleet.project SET status = $2, closed_at = $3
  WHERE neon_project_id = ANY ($1::text[]) AND (status IN ('creating', 'ready') OR (status = 'gone' AND $2 = 'retired'))`;

/** $1: ids; which of them were retired. */
const RETIRED = `SELECT p.neon_project_id FROM fleet.project p
  WHERE p.neon_project_id = ANY ($1::text[]) AND p.status = 'retired'`;

const RENAME_CUSTOMERS = `UPDATE fleet.customer AS c SET name = given.name
  FROM jsonb_to_recordset($1::jsonb) AS given (neon_project_id text, name text)
  CROSS JOIN LATERAL ${PROJECT_OF_ID} p
  WHERE c.id = p.customer_id AND c.name <> given.name`;

const CLAIM = `INSERT INTO fleet.creation_intent AS i (slug, attempt, run_url) VALUES ($1, $2, $3)
  ON CONFLICT (slug) DO UPDATE SET run_url = EXCLUDED.run_url RETURNING i.attempt`;

const RELEASE = `DELETE FROM fleet.creation_intent WHERE slug = $1`;

/** $1: a project id, perhaps of a project that is no more. */
const SUCCESSOR = `SELECT ${PROJECT_COLUMNS}
  FROM fleet.project p JOIN fleet.customer c ON c.id = p.customer_id
  WHERE p.neon_project_id = $1 OR p.predecessor_ids @> ARRAY[$1]`;

const BY_KEY = `SELECT ${PROJECT_COLUMNS}
  FROM fleet.customer c JOIN fleet.project p ON p.customer_id = c.id
  WHERE c.slug = $1::citext AND p.status IN ('creating', 'ready')`;

export const QUERIES = {
  tenants: TENANTS,
  byKey: BY_KEY,
  status: STATUS,
  versions: VERSIONS,
  registerCustomers: REGISTER_CUSTOMERS,
  registerProjects: REGISTER_PROJECTS,
  learnCustomers: LEARN_CUSTOMERS,
  learnProjects: LEARN_PROJECTS,
  recordRun: RECORD_RUN,
  recordPart: RECORD_PART,
  settleVerdict: SETTLE_VERDICT,
  recordOutcomes: RECORD_OUTCOMES,
  recordVersions: RECORD_VERSIONS,
  doubtVersions: DOUBT_VERSIONS,
  doubtProjects: DOUBT_PROJECTS,
  keepVersions: KEEP_VERSIONS,
  recordBackups: RECORD_BACKUPS,
  closeBackups: CLOSE_BACKUPS,
  tellFailures: TELL_FAILURES,
  sumFailures: SUM_FAILURES,
  forgetFailures: FORGET_FAILURES,
  ownProject: OWN_PROJECT,
  recordEvents: RECORD_EVENTS,
  closeProjects: CLOSE_PROJECTS,
  retired: RETIRED,
  renameCustomers: RENAME_CUSTOMERS,
  claim: CLAIM,
  release: RELEASE,
  successor: SUCCESSOR,
} as const;
