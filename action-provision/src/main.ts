import { logTenant, openNeonFor, publishRun, readInputs, type ActionContext } from '@neon-fleet/shared/actions';
import { readMigrations } from '@neon-fleet/shared/drizzle';
import { NEON_DEFAULTS, workThroughTenants, type Tenant } from '@neon-fleet/shared/fleet';
import type { NewProject } from '@neon-fleet/shared/neon';
import { trustedAuthorities } from '@neon-fleet/shared/postgres';

import { checkInputs, inputs, type ProvisionInputs } from './inputs.js';
import { setProjectOutputs } from './outputs.js';
import { provisionTenant, type ProvisionedProject } from './provision-tenant.js';

/** The provision action: a project for each named tenant, reachable and at the fleet's schema version. */
export async function main(context: ActionContext): Promise<void> {
  const values = readInputs(inputs, context.readInput, checkInputs);
  const { signal } = context.stop;
  context.stop.limit(values.timeLimit);
  const neon = openNeonFor(values, context);
  const authorities = await trustedAuthorities(process.env);
  const migrate =
    values.migrationsFolder === undefined
      ? undefined
      : {
          folder: await readMigrations(values.migrationsFolder),
          table: { schema: values.migrationsSchema, table: values.migrationsTable },
          lockWaitMs: values.lockWait,
          lockTimeoutMs: values.lockTimeout,
          statementTimeoutMs: values.statementTimeout,
        };

  const single = values.name.length === 1;
  const reachable: ProvisionedProject[] = [];
  const outcomes = await workThroughTenants({
    tenants: values.name.map((name) => tenantToBe(name, values)),
    concurrency: values.concurrency,
    signal,
    onOutcome: logTenant,
    work: (tenant, { note, found }) =>
      provisionTenant(neon, {
        wanted: newProject(tenant.name, values),
        location: values,
        authorities,
        migrate,
        signal,
        note,
        found,
        pooled: single,
        onReachable: (project) => reachable.push(project),
      }),
  });

  setProjectOutputs(reachable, { single, mask: context.mask });
  await publishRun({
    action: 'provision',
    command: 'run',
    startedAt: context.startedAt,
    outcomes,
    allowSkipped: values.allowSkipped,
  });
}

/** A tenant whose project may not exist yet: its id is told when it is found or made. */
function tenantToBe(name: string, { branch, database, role }: ProvisionInputs): Tenant {
  return {
    key: name,
    name,
    projectId: '',
    ...(branch === undefined ? {} : { branch }),
    database: database ?? NEON_DEFAULTS.database,
    role: role ?? NEON_DEFAULTS.role,
    assumed: { database: database === undefined, role: role === undefined },
    labels: {},
  };
}

function newProject(name: string, { region, postgresVersion, branch, database, role }: ProvisionInputs): NewProject {
  return {
    name,
    ...(region === undefined ? {} : { regionId: region }),
    ...(postgresVersion === undefined ? {} : { pgVersion: postgresVersion }),
    ...(branch === undefined ? {} : { branch }),
    ...(database === undefined ? {} : { database }),
    ...(role === undefined ? {} : { role }),
  };
}
