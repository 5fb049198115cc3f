import { createTableSql, fileOf, type Migration, type MigrationFolder } from '@neon-fleet/shared/drizzle';
import { explain, ExplainedError } from '@neon-fleet/shared/errors';
import { parseConnectionUri, PostgresError, type Connection, type ConnectionTarget } from '@neon-fleet/shared/postgres';

import { readCatalog, type Catalog } from './catalog.js';
import type { CatalogScope } from './catalog-sql.js';
import { upTo } from './record.js';
import { withScratchDatabase, type ScratchOptions } from './scratch.js';

/** What the migrations make, for each major version of PostgreSQL that there is in the fleet. */
export interface References {
  /**
   * The schema that the migrations make on servers of that version; built when it is asked for the first time, however
   * many tenants ask at once.
   *
   * @param beside a database on a server of that version, where a scratch database can be made.
   * @throws ReferenceError when the migrations cannot be applied to an empty database; the error of the server otherwise.
   */
  forServer(serverMajor: number, beside: ConnectionTarget): Promise<Catalog>;
}

export interface ReferenceOptions extends ScratchOptions {
  readonly folder: MigrationFolder;
  /** The version that is adopted. */
  readonly at: Migration;
  readonly scope: CatalogScope;
  /** A server for the scratch databases in place of the tenants' own; a secret. */
  readonly scratchUrl?: string | undefined;
  readonly statementTimeoutMs: number;
}

/** The migrations themselves fail on an empty database: so they will beside the next tenant. */
export class ReferenceError extends ExplainedError {
  override name = 'ReferenceError';
}

export function openReferences(options: ReferenceOptions): References {
  const scratchTarget = options.scratchUrl === undefined ? undefined : parseConnectionUri(options.scratchUrl);
  return keepReferences((beside) => buildReference(scratchTarget ?? beside, options));
}

/**
 * Builds each reference once. What failed because of one tenant's server is tried again beside the next one; what failed
 * because of the migrations is not.
 */
export function keepReferences(build: (beside: ConnectionTarget) => Promise<Catalog>): References {
  const building = new Map<number, Promise<Catalog>>();

  async function forServer(serverMajor: number, beside: ConnectionTarget): Promise<Catalog> {
    for (;;) {
      const earlier = building.get(serverMajor);
      const attempt = earlier ?? build(beside).then((catalog) => ofVersion(catalog, serverMajor));
      building.set(serverMajor, attempt);
      try {
        return await attempt;
      } catch (thrown) {
        if (thrown instanceof ReferenceError) throw thrown;
        if (building.get(serverMajor) === attempt) building.delete(serverMajor);
        // The failure of somebody else's server says nothing about this tenant's.
        if (earlier === undefined) throw thrown;
      }
    }
  }
  return { forServer };
}

function ofVersion(catalog: Catalog, serverMajor: number): Catalog {
  if (catalog.serverMajor === serverMajor) return catalog;
  throw new ReferenceError({
    message: `the scratch database is on PostgreSQL ${catalog.serverMajor}, and the tenant on ${serverMajor}: the same schema reads differently there`,
    hint: `Let scratch-url be a PostgreSQL ${serverMajor}, or leave it out: then the scratch database is made beside the tenant's own.`,
  });
}

async function buildReference(beside: ConnectionTarget, options: ReferenceOptions): Promise<Catalog> {
  return withScratchDatabase(beside, options, async (connection) => {
    await connection.query(`SET statement_timeout = ${options.statementTimeoutMs}`);
    await applyEach(connection, options);
    return readCatalog(connection, options.scope);
  });
}

/** In a transaction each: a value that one migration adds to an enum can then be used by the next. */
async function applyEach(connection: Connection, { folder, at, scope }: ReferenceOptions): Promise<void> {
  await connection.query(createTableSql(scope.table, folder.format));
  for (const migration of upTo(folder, at)) {
    if (!migration.noTransaction) await connection.query('BEGIN');
    for (const [index, statement] of migration.statements.entries()) {
      try {
        await connection.query(statement);
      } catch (thrown) {
        throw inStatement(fileOf(folder.format, migration), index, migration, thrown);
      }
    }
    if (!migration.noTransaction) await connection.query('COMMIT');
  }
}

function inStatement(file: string, index: number, { statements }: Migration, thrown: unknown): unknown {
  // Without a state it was the connection that failed.
  if (!(thrown instanceof PostgresError) || thrown.sqlState === undefined || isServers(thrown.sqlState)) return thrown;
  const explanation = explain(thrown);
  return new ReferenceError({
    ...explanation,
    message: `the migrations cannot be applied to an empty database, so that there is nothing to compare with: ${file}, statement ${index + 1} of ${statements.length}: ${explanation.message}`,
  });
}

/** Failures of the server's state (connections, resources, an operator) rather than of what was asked of it. */
function isServers(sqlState: string): boolean {
  return ['08', '53', '57', '58'].includes(sqlState.slice(0, 2));
}
