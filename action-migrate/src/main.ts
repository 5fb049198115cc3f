import { logTenant, openNeonFor, publishRun, readInputs, type ActionContext } from '@neon-fleet/shared/actions';
import { migrateDatabase, readMigrations } from '@neon-fleet/shared/drizzle';
import { discoverTenants, workThroughTenants } from '@neon-fleet/shared/fleet';
import { findDatabase } from '@neon-fleet/shared/neon';
import { trustedAuthorities } from '@neon-fleet/shared/postgres';

import { inputs } from './inputs.js';

/** The migrate action: rolls the migrations of a folder out to every selected tenant. */
export async function main(context: ActionContext): Promise<void> {
  const values = readInputs(inputs, context.readInput);
  const { signal } = context.stop;
  context.stop.limit(values.timeLimit);
  const folder = await readMigrations(values.migrationsFolder);
  const neon = openNeonFor(values, context);
  const authorities = await trustedAuthorities(process.env);

  const { tenants, unlisted } = discoverTenants(await neon.listProjects(), values.tenants, values, new Date());
  const worked = await workThroughTenants({
    tenants,
    concurrency: values.concurrency,
    signal,
    onOutcome: logTenant,
    work: async (tenant, { note }) => {
      const { uri } = await findDatabase(neon, tenant);
      return migrateDatabase(uri, {
        folder,
        table: { schema: values.migrationsSchema, table: values.migrationsTable },
        lockWaitMs: values.lockWait,
        lockTimeoutMs: values.lockTimeout,
        statementTimeoutMs: values.statementTimeout,
        authorities,
        signal,
        note,
      });
    },
  });

  await publishRun({
    action: 'migrate',
    command: 'run',
    startedAt: context.startedAt,
    outcomes: [...worked, ...unlisted],
    allowSkipped: values.allowSkipped,
  });
}
