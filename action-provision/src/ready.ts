import { migrateDatabase, type MigrateOptions } from '@neon-fleet/shared/drizzle';
import { isGreen, type TenantSettings, type WorkResult } from '@neon-fleet/shared/fleet';
import { connect, parseConnectionUri, type Connection } from '@neon-fleet/shared/postgres';

import { ensureExtensions } from './extensions.js';
import { applySeed, type Seed } from './seed.js';

export interface ReadyOptions {
  readonly settings: TenantSettings;
  readonly authorities: readonly string[] | undefined;
  /** Absent: the schema is left as it is. */
  readonly migrate?: Omit<MigrateOptions, 'note' | 'signal' | 'authorities'> | undefined;
  /** Statements for a database that has not had them yet. */
  readonly seed?: Seed | undefined;
  readonly signal: AbortSignal;
  readonly note: (line: string) => void;
}

/**
 * Makes a tenant that has its project ready for customers: somebody was let in, its extensions are there, its schema is
 * the fleet's, and its seed is in. Each of them is looked at before it is done.
 */
export async function makeReady(uri: string, options: ReadyOptions): Promise<WorkResult> {
  const { settings, authorities, migrate, seed, signal, note } = options;
  const done: string[] = [];
  const withConnection = async <T>(work: (connection: Connection) => Promise<T>): Promise<T> => {
    const connection = await connect(parseConnectionUri(uri), {
      signal,
      authorities,
      applicationName: 'neon-fleet provision',
    });
    try {
      return await work(connection);
    } finally {
      await connection.close();
    }
  };

  // Before the migrations, which may use them.
  const { extensions = [] } = settings;
  if (extensions.length > 0 || migrate === undefined) {
    done.push(...(await withConnection((connection) => ensureExtensions(connection, extensions))));
  }
  const schema: WorkResult =
    migrate === undefined
      ? { status: 'unchanged', reason: 'up-to-date', detail: 'its schema was left as it is: no migrations-folder' }
      : await migrateDatabase(uri, { ...migrate, authorities, signal, note });
  // A schema that is not the fleet's is nothing to put rows into.
  if (!isGreen(schema.status)) return schema;

  if (seed !== undefined) done.push(...(await withConnection((connection) => applySeed(connection, seed))));
  return together(schema, done);
}

function together(schema: WorkResult, done: readonly string[]): WorkResult {
  if (done.length === 0) return schema;
  return { status: 'succeeded', detail: [schema.detail, ...done].join('; ') };
}
