import { createHash } from 'node:crypto';

import {
  findMigration,
  migrateDatabase,
  readMigrations,
  type MigrateOptions,
  type MigrationFolder,
  type MigrationsTable,
} from '@neon-fleet/shared/drizzle';
import type { Tenant, TenantResult } from '@neon-fleet/shared/fleet';

import type { MigrateInputs } from './inputs.js';
import { openKitEngine, type KitEngine } from './kit/index.js';

/** The schema that a tenant is to have. */
export interface WantedSchema {
  readonly folder: MigrationFolder;
  readonly table: MigrationsTable;
  /** The tag to bring it to. */
  readonly target: string;
}

/** What differs from tenant to tenant when migrations are applied. */
export type TenantOptions = Pick<MigrateOptions, 'note' | 'readRestorePoint' | 'rollBack'>;

/** What applies the migrations: drizzle-orm in this process, or the repository's own drizzle-kit. */
export interface MigrationEngine {
  /** What the jobs of one rollout have to agree about. */
  readonly digest: string;
  /** @throws ExplainedError when there is no schema for this tenant. */
  schemaOf(tenant: Tenant): Promise<WantedSchema>;
  migrate(uri: string, tenant: Tenant, options: TenantOptions): Promise<TenantResult>;
}

/** What an engine needs from its surroundings. */
export interface EngineSurroundings {
  readonly authorities: readonly string[] | undefined;
  readonly signal: AbortSignal;
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
}

/** @throws ExplainedError when the folder, `to`, drizzle-kit or its config cannot be used. */
export async function openEngine(values: MigrateInputs, surroundings: EngineSurroundings): Promise<MigrationEngine> {
  return values.engine === 'drizzle-kit' ? kitEngine(values, surroundings) : ormEngine(values, surroundings);
}

async function ormEngine(values: MigrateInputs, { authorities, signal }: EngineSurroundings): Promise<MigrationEngine> {
  const schema = schemaIn(
    await readMigrations(values.migrationsFolder),
    { schema: values.migrationsSchema, table: values.migrationsTable },
    values.to,
  );
  return {
    digest: schema.folder.digest,
    schemaOf: () => Promise.resolve(schema),
    migrate: (uri, _, options) =>
      migrateDatabase(uri, {
        folder: schema.folder,
        table: schema.table,
        to: schema.target,
        transaction: values.transaction,
        onDrift: values.onDrift,
        lockWaitMs: values.lockWait,
        lockTimeoutMs: values.lockTimeout,
        statementTimeoutMs: values.statementTimeout,
        postCheck: values.postCheck,
        onFailure: values.onFailure,
        authorities,
        signal,
        ...options,
      }),
  };
}

async function kitEngine(values: MigrateInputs, surroundings: EngineSurroundings): Promise<MigrationEngine> {
  const kit: KitEngine = await openKitEngine({
    ...surroundings,
    drizzleConfig: values.drizzleConfig,
    drizzleUrlVariable: values.drizzleUrlVariable,
    timeLimitMs: values.drizzleTimeLimit,
    onDrift: values.onDrift === 'fail' ? 'fail' : 'skip',
    lockWaitMs: values.lockWait,
    lockTimeoutMs: values.lockTimeout,
    statementTimeoutMs: values.statementTimeout,
    postCheck: values.postCheck,
  });
  return {
    // Each tenant may have a config and a folder of its own, which are only read when it is its turn.
    digest: createHash('sha256')
      .update(values.drizzleConfig ?? '')
      .digest('hex'),
    async schemaOf({ name }) {
      const { folder, table } = await kit.configured(name);
      return schemaIn(folder, table, values.to);
    },
    migrate: (uri, { name }, { note, readRestorePoint }) => kit.migrate(uri, name, { note, readRestorePoint }),
  };
}

function schemaIn(folder: MigrationFolder, table: MigrationsTable, to: string | undefined): WantedSchema {
  const newest = folder.migrations.at(-1)?.tag ?? '';
  return { folder, table, target: to === undefined ? newest : findMigration(folder, to).tag };
}
