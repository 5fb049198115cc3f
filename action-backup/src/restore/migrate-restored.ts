import { migrateDatabase, readMigrations, type MigrateOptions } from '@neon-fleet/shared/drizzle';
import { explain } from '@neon-fleet/shared/errors';
import type { TenantResult, WorkContext } from '@neon-fleet/shared/fleet';

/** Brings a restored database to the fleet's version; the result is that of the restore and the migration together. */
export type BringToCurrent = (uri: string, restored: TenantResult, work: WorkContext) => Promise<TenantResult>;

/** What of the inputs says how migrations are applied, as for the migrate action. */
export interface MigrationValues {
  readonly migrationsFolder?: string | undefined;
  readonly migrationsSchema: string;
  readonly migrationsTable: string;
  readonly lockWait: number;
  readonly lockTimeout: number;
  readonly statementTimeout: number;
}

/**
 * Reads the folder of migrations before anything is restored. Without one, what is restored stays at the version that it
 * had.
 *
 * @throws ExplainedError when the folder cannot be used.
 */
export async function openMigrations(
  values: MigrationValues,
  migrateTo: 'current' | undefined,
  authorities: readonly string[] | undefined,
): Promise<BringToCurrent> {
  if (migrateTo === undefined || values.migrationsFolder === undefined)
    return (_, restored) => Promise.resolve(restored);
  const options = {
    folder: await readMigrations(values.migrationsFolder),
    table: { schema: values.migrationsSchema, table: values.migrationsTable },
    lockWaitMs: values.lockWait,
    lockTimeoutMs: values.lockTimeout,
    statementTimeoutMs: values.statementTimeout,
    authorities,
  };
  return (uri, restored, work) => bringToCurrent(uri, restored, { ...options, ...work });
}

async function bringToCurrent(uri: string, restored: TenantResult, options: MigrateOptions): Promise<TenantResult> {
  if (restored.status !== 'succeeded' && restored.status !== 'unchanged') return restored;
  let result: TenantResult;
  try {
    result = await migrateDatabase(uri, options);
  } catch (thrown) {
    options.signal.throwIfAborted();
    result = { status: 'failed', detail: explain(thrown).message, error: explain(thrown) };
  }
  const migration = result.migration === undefined ? {} : { migration: result.migration };
  if (result.status === 'unchanged')
    return { ...restored, detail: `${restored.detail}; ${result.detail}`, ...migration };
  if (result.status === 'succeeded') {
    return { status: 'succeeded', detail: `${restored.detail}; ${result.detail}`, ...migration };
  }
  const error = 'error' in result ? result.error : undefined;
  const message = `restored, and what was restored stays, but it could not be brought to the fleet's version: ${result.detail}`;
  return {
    status: 'failed',
    detail: message,
    error: {
      message,
      ...(error?.code === undefined ? {} : { code: error.code }),
      hint: error?.hint ?? HINTS[result.status === 'skipped' && result.reason === 'drift' ? 'drift' : 'other'],
    },
    ...migration,
  };
}

const HINTS = {
  drift:
    'Is the folder the one that the application runs with, and not an older one? The database is as the backup was: compare before you use it.',
  other: 'Look at the cause, and bring it there with the migrate action.',
} as const;
