import {
  discoverFleet,
  openNeonFor,
  sparingCatalog,
  type ActionContext,
  type Filled,
} from '@neon-fleet/shared/actions';
import { refuseUnusablePostCheck } from '@neon-fleet/shared/drizzle';
import type { Discovery, Tenant, TenantResult, WorkContext } from '@neon-fleet/shared/fleet';
import type { Neon } from '@neon-fleet/shared/neon';
import { trustedAuthorities } from '@neon-fleet/shared/postgres';

import { openEngine, type MigrationEngine } from './engine.js';
import type { MigrateInputs, SelectingInputs } from './inputs.js';
import { migrateTenant } from './migrate-tenant.js';
import { withProof } from './proof.js';

/** What a rollout works with: opened once, before the first tenant. */
export interface Rollout {
  readonly neon: Neon;
  readonly engine: MigrationEngine;
  readonly authorities: readonly string[] | undefined;
}

/**
 * Reads the migrations and opens the way to Neon.
 *
 * @param share how many jobs call the Neon API at the same time.
 * @throws ExplainedError before anything is done, when the migrations, `to` or `post-check` cannot be used.
 */
export async function openRollout(
  values: Filled<MigrateInputs, 'neonApiKey'>,
  context: ActionContext,
  share = 1,
): Promise<Rollout> {
  const neon = sparingCatalog(openNeonFor(values, context, { share }), values.catalogUrl);
  const authorities = await trustedAuthorities(process.env);
  const { signal } = context.stop;
  const engine = await openEngine(values, { authorities, signal, cwd: process.cwd(), env: process.env });
  if (values.postCheck !== undefined) refuseUnusablePostCheck(values.postCheck);
  return { neon, engine, authorities };
}

/** Chooses who takes part. */
export async function discover(
  { neon }: Pick<Rollout, 'neon'>,
  values: SelectingInputs,
  context: ActionContext,
): Promise<Discovery> {
  return discoverFleet(values, neon, context);
}

/** So many tenants in a row that Neon fails for are an outage; every call was repeated for minutes by then. */
export const BREAKER = { openAfter: 10 } as const;

/** The work on one tenant of a rollout. */
export function workOf(
  rollout: Rollout,
  values: MigrateInputs,
  runName: string,
): (tenant: Tenant, context: WorkContext) => Promise<TenantResult> {
  return async (tenant, context) =>
    withProof(rollout.engine, tenant, await migrateTenant(rollout, tenant, values, runName, context));
}

/** What the jobs of one rollout must agree about: the same migrations, applied in the same way. */
export function settingsOf({ engine }: Rollout, values: MigrateInputs): Record<string, string> {
  return {
    migrations: engine.digest,
    engine: values.engine,
    to: values.to ?? 'the newest',
    'migrations-table': `${values.migrationsSchema}.${values.migrationsTable}`,
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
