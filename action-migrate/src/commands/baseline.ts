import { logTenant, publishRun, tellIdleExclusions, tellRun, type ActionContext } from '@neon-fleet/shared/actions';
import { findMigration, readMigrations } from '@neon-fleet/shared/drizzle';
import { workThroughTenants } from '@neon-fleet/shared/fleet';
import { findDatabase } from '@neon-fleet/shared/neon';

import { baselineDatabase, openReferences, renderBaseline, type UnequalTenant } from '../baseline/index.js';
import type { BaselineInputs } from '../inputs.js';
import { proofOf } from '../proof.js';
import { BREAKER, discover, openRollout } from '../rollout.js';

/** Adopts tenants whose schema came from elsewhere; only looks, unless `dry-run` says `false`. */
export async function baseline(values: BaselineInputs, context: ActionContext): Promise<void> {
  if (values.scratchUrl !== undefined) context.mask(values.scratchUrl);
  const rollout = await openRollout(values, context);
  const { authorities, neon } = rollout;
  const folder = await readMigrations(values.migrationsFolder);
  const table = { schema: values.migrationsSchema, table: values.migrationsTable };
  const { signal } = context.stop;
  const dryRun = values.dryRun ?? true;
  const at = findMigration(folder, values.at);
  const scope = { table, ignoredSchemas: values.ignoreSchemas };
  const references = openReferences({
    folder,
    at,
    scope,
    scratchUrl: values.scratchUrl,
    statementTimeoutMs: values.statementTimeout,
    authorities,
    signal,
  });
  const discovery = await discover(rollout, values, context);
  const { tenants, settled } = discovery;
  const told = tellIdleExclusions(discovery);
  const unequal: UnequalTenant[] = [];
  const verified = proofOf({ folder, table }, at.tag);
  const migration = { to: at.tag, applied: [], ...(verified === undefined ? {} : { verified }) };
  const worked = await workThroughTenants({
    tenants,
    concurrency: values.concurrency,
    signal,
    breaker: BREAKER,
    onOutcome: logTenant,
    work: async (tenant, { note }) => {
      const { uri } = await findDatabase(neon, tenant);
      const { result, differences } = await baselineDatabase(uri, {
        folder,
        at,
        scope,
        references,
        dryRun,
        lockWaitMs: values.lockWait,
        lockTimeoutMs: values.lockTimeout,
        statementTimeoutMs: values.statementTimeout,
        authorities,
        signal,
        note,
      });
      if (differences.length > 0) unequal.push({ name: tenant.name, differences });
      if (dryRun || result.status !== 'succeeded') return result;
      return { ...result, migration };
    },
  });
  const report = await publishRun({
    action: 'migrate',
    command: dryRun ? 'baseline (dry run)' : 'baseline',
    startedAt: context.startedAt,
    outcomes: [...worked, ...settled],
    allowSkipped: values.allowSkipped,
    appendix: told + renderBaseline(unequal),
  });
  if (dryRun) return;
  await tellRun(report, { catalogUrl: values.catalogUrl, tenants, signal });
}
