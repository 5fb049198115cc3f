import type { Connection } from '../postgres/index.js';
import { QUERIES } from './queries.js';
import type { BackupRecord, CatalogBatch, EventRecord, OutcomeRecord, ProjectRecord, RunRecord } from './records.js';

/** So many outcomes go into one parameter: what a shard has, while a whole fleet's would be too large for one. */
const OUTCOMES_A_STATEMENT = 5_000;

/** Writes a batch within a transaction that is open: a handful of statements, however many tenants a shard has. */
export async function writeBatch(connection: Connection, batch: CatalogBatch): Promise<void> {
  const { projects, run, backups, backupsGone, events, closures = [] } = batch;
  if (projects !== undefined && projects.length > 0) {
    const given = JSON.stringify(projects.map(projectRow));
    await connection.query(QUERIES.registerCustomers, [given]);
    await connection.query(QUERIES.registerProjects, [given]);
  }
  if (run !== undefined) await writeRun(connection, run);
  if (backups !== undefined && backups.length > 0) {
    await connection.query(QUERIES.recordBackups, [JSON.stringify(backups.map(backupRow))]);
  }
  if (backupsGone !== undefined && backupsGone.storageKeys.length > 0) {
    await connection.query(QUERIES.closeBackups, [backupsGone.storageKeys, backupsGone.at]);
  }
  if (events !== undefined && events.length > 0) {
    await connection.query(QUERIES.recordEvents, [JSON.stringify(events.map(eventRow))]);
  }
  // There are few of them: one command retires one tenant.
  for (const { projectId, status, at } of closures) {
    await connection.query(QUERIES.closeProjects, [[projectId], status, at]);
  }
}

async function writeRun(connection: Connection, run: RunRecord): Promise<void> {
  const [row] = await connection.query(QUERIES.recordRun, [
    run.runKey,
    run.action,
    run.command,
    run.verdict,
    run.startedAt,
    Math.round(run.durationMs),
    run.runUrl ?? null,
    run.actor ?? null,
  ]);
  const id = row?.['id'];
  const { number, attempt } = run.part ?? { number: 0, attempt: 1 };
  await connection.query(QUERIES.recordPart, [id, number, attempt, run.verdict]);
  await connection.query(QUERIES.settleVerdict, [id]);
  // Whoever reports on a whole rollout clears away what older ones counted.
  if (run.part?.number === 0) await connection.query(QUERIES.forgetFailures);
  const outcomes = onceEach(run.outcomes);
  for (let from = 0; from < outcomes.length; from += OUTCOMES_A_STATEMENT) {
    const given = JSON.stringify(outcomes.slice(from, from + OUTCOMES_A_STATEMENT).map(outcomeRow));
    await connection.query(QUERIES.learnCustomers, [given]);
    await connection.query(QUERIES.learnProjects, [given]);
    await connection.query(QUERIES.recordOutcomes, [given, id, run.action]);
    await connection.query(QUERIES.recordVersions, [given]);
    await connection.query(QUERIES.doubtVersions, [given]);
    await connection.query(QUERIES.keepVersions, [given]);
  }
}

/** One statement cannot touch a row twice. In the order of their ids two jobs never wait for each other in a circle. */
function onceEach(outcomes: readonly OutcomeRecord[]): OutcomeRecord[] {
  const byDatabase = new Map(outcomes.map((outcome) => [`${outcome.projectId}\n${outcome.database}`, outcome]));
  return [...byDatabase.entries()].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, outcome]) => outcome);
}

function outcomeRow(outcome: OutcomeRecord) {
  const { verified } = outcome;
  return {
    neon_project_id: outcome.projectId,
    name: withoutNul(outcome.name),
    slug: withoutNul(outcome.key ?? outcome.name),
    region: outcome.regionId,
    postgres_version: outcome.pgVersion,
    branch_name: outcome.branch,
    database_name: withoutNul(outcome.database),
    database_assumed: outcome.isDatabaseAssumed === true,
    role_name: outcome.role,
    status: outcome.status,
    reason: outcome.reason,
    from_version: outcome.from,
    to_version: outcome.to,
    version_known: outcome.isVersionKnown === true || outcome.to !== undefined,
    migrations_table: verified?.table,
    migrations_digest: verified?.digest,
    in_doubt: outcome.inDoubt === true,
    error_code: outcome.errorCode,
    attempts: outcome.attempts,
    started_at: outcome.startedAt,
    duration_ms: Math.round(outcome.durationMs),
  };
}

function projectRow(project: ProjectRecord) {
  return {
    slug: withoutNul(project.key),
    name: withoutNul(project.name),
    neon_project_id: project.projectId,
    region: project.regionId,
    postgres_version: project.pgVersion,
    branch_name: project.branch,
    database_name: project.database,
    role_name: project.role,
    schema_version: project.schemaVersion,
    status: project.status,
    ready_at: project.readyAt,
  };
}

function backupRow(backup: BackupRecord) {
  return {
    neon_project_id: backup.projectId,
    database_name: backup.database,
    storage_key: backup.storageKey,
    size_bytes: backup.sizeBytes,
    sha256: backup.sha256,
    schema_version: backup.schemaVersion,
    created_at: backup.createdAt,
    verified_at: backup.verifiedAt,
    verify_outcome: backup.verifyOutcome,
  };
}

function eventRow(event: EventRecord) {
  return {
    event_key: event.eventKey,
    at: event.at,
    action: event.action,
    what: event.what,
    neon_project_id: event.projectId,
    actor: event.actor,
    run_url: event.runUrl,
    details: event.details,
  };
}

/** The one character that PostgreSQL's text cannot hold. */
export function withoutNul(text: string): string {
  return text.replaceAll('\u0000', '');
}
