import { connect, parseConnectionUri, type Connection, type Row } from '../postgres/index.js';
import { migrateCatalog } from './migrations.js';
import { QUERIES } from './queries.js';
import {
  readStatus,
  readTenant,
  readVersions,
  type CatalogStatus,
  type CatalogTenant,
  type CatalogVersions,
} from './read.js';
import type { CatalogBatch } from './records.js';
import { withoutNul, writeBatch } from './write.js';

export interface CatalogOptions {
  readonly signal?: AbortSignal;
  readonly authorities?: readonly string[] | undefined;
}

/**
 * The catalog database. Everything it is told may be told again: nothing is counted twice. Disposing of it is the same as
 * `end`.
 */
export interface Catalog extends AsyncDisposable {
  /** All tenants that are not retired, page by page. */
  tenants(): AsyncGenerator<CatalogTenant[]>;
  status(): AsyncGenerator<CatalogStatus[]>;
  /** What is certain about the versions of all databases, page by page. */
  versions(): AsyncGenerator<CatalogVersions[]>;
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
  /** Takes back what is certain about the versions in these projects, before something is done that changes them. */
  doubt(projectIds: readonly string[]): Promise<void>;
  /** Says how many failures a shard of a plan has had, and gives how many all of its shards have. */
  exchangeFailures(shard: ShardOfPlan, failures: number): Promise<number>;
  /** The Neon project that the catalog itself is in; undefined where that is not Neon. */
  ownProject(): Promise<string | undefined>;
  end(): Promise<void>;
}

/** One attempt of one shard. */
export interface ShardOfPlan {
  readonly planId: string;
  readonly shard: number;
  readonly attempt: number;
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

  const end = () => inTurn(() => connection.close());

  return {
    tenants: () => pages(QUERIES.tenants, readTenant),
    status: () => pages(QUERIES.status, readStatus),
    versions: () => pages(QUERIES.versions, readVersions),

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

    async doubt(projectIds) {
      if (projectIds.length > 0) await query(QUERIES.doubtProjects, [projectIds]);
    },

    async exchangeFailures({ planId, attempt, shard }, failures) {
      await query(QUERIES.tellFailures, [planId, attempt, shard, failures]);
      const [row] = await query(QUERIES.sumFailures, [planId, attempt]);
      return Number(row?.['failures']);
    },

    async ownProject() {
      const [row] = await query(QUERIES.ownProject);
      const id = row?.['id'];
      return typeof id === 'string' && id !== '' ? id : undefined;
    },

    end,
    [Symbol.asyncDispose]: end,
  };
}
