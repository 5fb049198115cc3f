import { z } from 'zod';

import { connect, parseConnectionUri, type Connection, type Row } from '../postgres/index.js';
import { migrateCatalog } from './migrations.js';
import { QUERIES } from './queries.js';
import type { BackupRecord, CatalogBatch, EventRecord, ProjectRecord, RunRecord } from './records.js';
import { PROJECT_STATUSES } from './schema.js';

const when = z.union([z.date().transform((date) => date.toISOString()), z.string()]);

const tenantSchema = z.object({
  slug: z.string(),
  name: z.string(),
  neon_project_id: z.string(),
  region: z.string(),
  postgres_version: z.number(),
  branch_name: z.string().nullable(),
  database_name: z.string().nullable(),
  role_name: z.string().nullable(),
  schema_version: z.string().nullable(),
  status: z.enum(PROJECT_STATUSES),
  predecessor_ids: z.array(z.string()),
});

const statusSchema = tenantSchema.extend({
  backup_at: when.nullable(),
  backup_bytes: z.coerce.number().nullable(),
  verified_at: when.nullable(),
  outcome: z.string().nullable(),
  reason: z.string().nullable(),
  error_code: z.string().nullable(),
  outcome_at: when.nullable(),
  run_url: z.string().nullable(),
  run_key: z.string().nullable(),
});

/** A tenant as the catalog knows it. */
export interface CatalogTenant {
  readonly key: string;
  readonly name: string;
  readonly projectId: string;
  readonly regionId: string;
  readonly pgVersion: number;
  readonly branch?: string;
  readonly database?: string;
  readonly role?: string;
  readonly schemaVersion?: string;
  readonly status: (typeof PROJECT_STATUSES)[number];
  /** Ids that the tenant's project had before: its old backups are under them. */
  readonly predecessorIds: readonly string[];
}

/** A tenant with what the catalog knows about its backups and its last migration. */
export interface CatalogStatus extends CatalogTenant {
  readonly backupAt?: string;
  readonly backupBytes?: number;
  readonly verifiedAt?: string;
  readonly outcome?: string;
  readonly reason?: string;
  readonly errorCode?: string;
  readonly outcomeAt?: string;
  readonly runUrl?: string;
  readonly runKey?: string;
}

export interface CatalogOptions {
  readonly signal?: AbortSignal;
  readonly authorities?: readonly string[] | undefined;
}

/** The catalog database. Everything it is told may be told again: nothing is counted twice. */
export interface Catalog {
  /** All tenants that are not retired, page by page. */
  tenants(): AsyncGenerator<CatalogTenant[]>;
  status(): AsyncGenerator<CatalogStatus[]>;
  /** The tenant that a project belongs to, also when another project has taken its place. */
  tenantOf(projectId: string): Promise<CatalogTenant | undefined>;
  /** The projects of a key that are not retired; more than one only while one takes the place of another. */
  byKey(key: string): Promise<CatalogTenant[]>;
  /** Writes a batch in one transaction: a handful of statements, however many tenants. */
  write(batch: CatalogBatch): Promise<void>;
  /** Marks projects as retired, or as gone when nobody here did it. */
  close(projectIds: readonly string[], status: 'retired' | 'gone', at?: Date): Promise<void>;
  /** Which of these projects somebody has retired. */
  retired(projectIds: readonly string[]): Promise<ReadonlySet<string>>;
  rename(names: readonly { readonly projectId: string; readonly name: string }[]): Promise<void>;
  /**
   * Claims the creation of a key's project until `release` or the end of the connection. Undefined: another process that
   * is alive has it. The attempt is that of a process that died with the claim, when there was one: what it made is ours.
   */
  claim(key: string, attempt: string, runUrl: string | undefined): Promise<{ readonly attempt: string } | undefined>;
  release(key: string): Promise<void>;
  end(): Promise<void>;
}

/** Rows a page: small enough for a plan that follows the index, large enough for few round trips. */
const PAGE = 1_000;

/** Its pages are in memory or on an SSD; with the default for spinning disks a batch would read whole tables. */
export const CATALOG_SESSION = 'SET random_page_cost = 1.1';

/** Connects to the catalog and brings it to this program's version. @throws PostgresError, ExplainedError. */
export async function openCatalog(url: string, options: CatalogOptions = {}): Promise<Catalog> {
  const { signal, authorities } = options;
  const connection = await connect(parseConnectionUri(url), {
    authorities,
    applicationName: 'neon-fleet catalog',
    ...(signal === undefined ? {} : { signal }),
  });
  try {
    await migrateCatalog(connection, signal);
    await connection.query(CATALOG_SESSION);
  } catch (thrown) {
    await connection.close();
    throw thrown;
  }
  return catalogOver(connection);
}

/** The same over a connection that is open. */
export function catalogOver(connection: Connection): Catalog {
  // One connection does one thing at a time, and a transaction must not be shared by two of them.
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const mine = last.then(work, work);
    last = mine.catch(() => undefined);
    return mine;
  };
  const query = (sql: string, parameters?: readonly unknown[]) => inTurn(() => connection.query(sql, parameters));

  async function* pages<T>(sql: string, read: (row: Row) => T & { readonly projectId: string }): AsyncGenerator<T[]> {
    let after = '';
    for (;;) {
      const rows = await query(sql, [after, PAGE]);
      const page = rows.map(read);
      yield page;
      const { projectId } = page.at(-1) ?? {};
      if (projectId === undefined || page.length < PAGE) return;
      after = projectId;
    }
  }

  return {
    tenants: () => pages(QUERIES.tenants, readTenant),
    status: () => pages(QUERIES.status, readStatus),

    async tenantOf(projectId) {
      const rows = (await query(QUERIES.successor, [projectId])).map(readTenant);
      return rows.find((tenant) => tenant.status === 'ready') ?? rows[0];
    },

    async byKey(key) {
      return (await query(QUERIES.byKey, [key])).map(readTenant);
    },

    write: (batch) =>
      inTurn(async () => {
        await connection.query('BEGIN');
        try {
          await writeBatch(connection, batch);
          await connection.query('COMMIT');
        } catch (thrown) {
          await connection.query('ROLLBACK').catch(() => undefined);
          throw thrown;
        }
      }),

    async close(projectIds, status, at = new Date()) {
      if (projectIds.length > 0) await query(QUERIES.closeProjects, [projectIds, status, at.toISOString()]);
    },

    async retired(projectIds) {
      const rows = await query(QUERIES.retired, [projectIds]);
      return new Set(rows.map((row) => String(row['neon_project_id'])));
    },

    async rename(names) {
      const given = names.map(({ projectId, name }) => ({ neon_project_id: projectId, name: withoutNul(name) }));
      if (given.length > 0) await query(QUERIES.renameCustomers, [JSON.stringify(given)]);
    },

    claim: (key, attempt, runUrl) =>
      inTurn(async () => {
        // Ends with the session: a process that was killed keeps nobody waiting.
        const [lock] = await connection.query(
          "SELECT pg_try_advisory_lock(hashtext('neon-fleet creation'), hashtext(lower($1))) AS held",
          [key],
        );
        if (lock?.['held'] !== true) return undefined;
        const [row] = await connection.query(QUERIES.claim, [key, attempt, runUrl ?? null]);
        return { attempt: String(row?.['attempt']) };
      }),

    release: (key) =>
      inTurn(async () => {
        await connection.query(QUERIES.release, [key]);
        await connection.query("SELECT pg_advisory_unlock(hashtext('neon-fleet creation'), hashtext(lower($1)))", [
          key,
        ]);
      }),

    end: () => inTurn(() => connection.close()),
  };
}

async function writeBatch(connection: Connection, batch: CatalogBatch): Promise<void> {
  const { projects, run, backups, events, closures = [] } = batch;
  if (projects !== undefined && projects.length > 0) {
    const given = JSON.stringify(projects.map(projectRow));
    await connection.query(QUERIES.registerCustomers, [given]);
    await connection.query(QUERIES.registerProjects, [given]);
  }
  if (run !== undefined) await writeRun(connection, run);
  if (backups !== undefined && backups.length > 0) {
    await connection.query(QUERIES.recordBackups, [JSON.stringify(backups.map(backupRow))]);
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
  const outcomes = JSON.stringify(
    run.outcomes.map((outcome) => ({
      neon_project_id: outcome.projectId,
      name: withoutNul(outcome.name),
      slug: withoutNul(outcome.key ?? outcome.name),
      region: outcome.regionId,
      postgres_version: outcome.pgVersion,
      database_name: withoutNul(outcome.database),
      status: outcome.status,
      reason: outcome.reason,
      from_version: outcome.from,
      to_version: outcome.to,
      error_code: outcome.errorCode,
      attempts: outcome.attempts,
      started_at: outcome.startedAt,
      duration_ms: Math.round(outcome.durationMs),
    })),
  );
  await connection.query(QUERIES.learnCustomers, [outcomes]);
  await connection.query(QUERIES.learnProjects, [outcomes]);
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
  await connection.query(QUERIES.recordOutcomes, [outcomes, row?.['id']]);
  await connection.query(QUERIES.recordVersions, [outcomes]);
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
function withoutNul(text: string): string {
  return text.replaceAll('\u0000', '');
}

function readTenant(row: Row): CatalogTenant {
  return tenantFrom(tenantSchema.parse(row));
}

function tenantFrom(row: z.infer<typeof tenantSchema>): CatalogTenant {
  return {
    key: row.slug,
    name: row.name,
    projectId: row.neon_project_id,
    regionId: row.region,
    pgVersion: row.postgres_version,
    ...(row.branch_name === null ? {} : { branch: row.branch_name }),
    ...(row.database_name === null ? {} : { database: row.database_name }),
    ...(row.role_name === null ? {} : { role: row.role_name }),
    ...(row.schema_version === null ? {} : { schemaVersion: row.schema_version }),
    status: row.status,
    predecessorIds: row.predecessor_ids,
  };
}

function readStatus(row: Row): CatalogStatus {
  const status = statusSchema.parse(row);
  return {
    ...tenantFrom(status),
    ...(status.backup_at === null ? {} : { backupAt: status.backup_at }),
    ...(status.backup_bytes === null ? {} : { backupBytes: status.backup_bytes }),
    ...(status.verified_at === null ? {} : { verifiedAt: status.verified_at }),
    ...(status.outcome === null ? {} : { outcome: status.outcome }),
    ...(status.reason === null ? {} : { reason: status.reason }),
    ...(status.error_code === null ? {} : { errorCode: status.error_code }),
    ...(status.outcome_at === null ? {} : { outcomeAt: status.outcome_at }),
    ...(status.run_url === null ? {} : { runUrl: status.run_url }),
    ...(status.run_key === null ? {} : { runKey: status.run_key }),
  };
}
