import { openNeonFor, type ActionContext, type Filled } from '@neon-fleet/shared/actions';
import {
  findMigration,
  readMigrations,
  refuseUnusablePostCheck,
  type MigrationFolder,
  type MigrationsTable,
} from '@neon-fleet/shared/drizzle';
import {
  discoverTenants,
  type Discovery,
  type Tenant,
  type TenantResult,
  type WorkContext,
} from '@neon-fleet/shared/fleet';
import type { Neon } from '@neon-fleet/shared/neon';
import { trustedAuthorities } from '@neon-fleet/shared/postgres';

import type { MigrateInputs, SelectingInputs } from './inputs.js';
import { migrateTenant } from './migrate-tenant.js';

/** What a rollout works with: opened once, before the first tenant. */
export interface Rollout {
  readonly neon: Neon;
  readonly folder: MigrationFolder;
  readonly table: MigrationsTable;
  /** The tag that tenants are brought to. */
  readonly target: string;
  readonly authorities: readonly string[] | undefined;
}

/**
 * Reads the migrations and opens the way to Neon.
 *
 * @param share how many jobs call the Neon API at the same time.
 * @throws ExplainedError before anything is done, when the folder, `to` or `post-check` cannot be used.
 */
export async function openRollout(
  values: Filled<MigrateInputs, 'neonApiKey'>,
  context: ActionContext,
  share = 1,
): Promise<Rollout> {
  const folder = await readMigrations(values.migrationsFolder);
  const newest = folder.migrations.at(-1)?.tag ?? '';
  const target = values.to === undefined ? newest : findMigration(folder, values.to).tag;
  if (values.postCheck !== undefined) refuseUnusablePostCheck(values.postCheck);
  return {
    neon: openNeonFor(values, context, { share }),
    folder,
    table: { schema: values.migrationsSchema, table: values.migrationsTable },
    target,
    authorities: await trustedAuthorities(process.env),
  };
}

/** Lists the fleet and chooses who takes part. */
export async function discover({ neon }: Pick<Rollout, 'neon'>, values: SelectingInputs): Promise<Discovery> {
  // GitHub's own runners are on the public internet; others may have a way of their own.
  const mayBePrivate = process.env['RUNNER_ENVIRONMENT'] !== 'github-hosted';
  return discoverTenants(await neon.listProjects(), values.tenants, values, new Date(), { mayBePrivate });
}

/** So many tenants in a row that Neon fails for are an outage; every call was repeated for minutes by then. */
export const BREAKER = { openAfter: 10 } as const;

/** The work on one tenant of a rollout. */
export function workOf(
  rollout: Rollout,
  values: MigrateInputs,
  runName: string,
): (tenant: Tenant, context: WorkContext) => Promise<TenantResult> {
  const { neon, folder, table, target, authorities } = rollout;
  return (tenant, context) =>
    migrateTenant(
      neon,
      tenant,
      {
        folder,
        table,
        to: target,
        transaction: values.transaction,
        onDrift: values.onDrift,
        lockWaitMs: values.lockWait,
        lockTimeoutMs: values.lockTimeout,
        statementTimeoutMs: values.statementTimeout,
        postCheck: values.postCheck,
        onFailure: values.onFailure,
        restorePoint: values.restorePoint,
        authorities,
        runName,
      },
      context,
    );
}

/** What the jobs of one rollout must agree about: the same migrations, the same target, the same table. */
export function settingsOf({ folder, table, target }: Rollout, values: MigrateInputs): Record<string, string> {
  return {
    migrations: folder.digest,
    to: target,
    'migrations-table': `${table.schema}.${table.table}`,
    transaction: values.transaction,
    'on-drift': values.onDrift,
  };
}

/**
 * A short name of this workflow run for what outlives it, such as branches: the same in every attempt. Outside of a
 * workflow it is made from the start.
 */
export function runNameOf(env: NodeJS.ProcessEnv, startedAt: Date): string {
  const { GITHUB_RUN_ID: id } = env;
  return id !== undefined && /^\d{1,20}$/.test(id) ? `run-${id}` : `run-${startedAt.getTime()}`;
}
