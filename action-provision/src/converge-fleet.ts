import { mkdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import * as core from '@actions/core';
import {
  eventOf,
  logTenant,
  openNeonFor,
  publishRun,
  runRecordOf,
  runUrl,
  tellCatalog,
  type ActionContext,
} from '@neon-fleet/shared/actions';
import type { CatalogBatch } from '@neon-fleet/shared/catalog';
import { qualifiedName, readMigrations, type MigrationFolder, type MigrationsTable } from '@neon-fleet/shared/drizzle';
import { isGreen, workThroughTenants, type FleetReport, type Outcome } from '@neon-fleet/shared/fleet';
import { trustedAuthorities } from '@neon-fleet/shared/postgres';

import { readDesired } from './desired.js';
import { openTenantSecrets } from './github/tenant-secrets.js';
import type { ProvisionInputs } from './inputs.js';
import { setProjectOutputs } from './outputs.js';
import { planFor, tenantOfStep } from './look.js';
import type { ProvisionPlan, TenantStep } from './plan.js';
import { planLines, renderPlan } from './plan-summary.js';
import { preflight } from './preflight.js';
import { provisionTenant, type ProvisionedProject } from './provision-tenant.js';
import { openRegister } from './register.js';
import { readSeed } from './seed.js';

/** `run`, `plan` and `apply`: holds what is desired against what is there, shows it, and makes it so. */
export async function convergeFleet(values: ProvisionInputs, context: ActionContext): Promise<void> {
  const { signal } = context.stop;
  const desired = await readDesired(values);
  const seed = values.seedSql === undefined ? undefined : await readSeed(values.seedSql);
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
  const neon = openNeonFor(values, context);
  const secrets = await openTenantSecrets(values, desired, context);
  const register = await openRegister(values.catalogUrl, context, {
    waitMs: values.lockWait,
    runUrl: runUrl(process.env),
  });
  const plan = await planFor(neon, desired, { ...values, knownIds: register?.knownIds }, signal);
  for (const line of planLines(plan)) core.info(line);
  core.setOutput('plan', await writePlan(plan));
  core.setOutput('changes', plan.steps.filter(({ step }) => step !== 'unchanged').length);
  if (values.command === 'plan') {
    await register?.end();
    return publishPlan(plan, values, context);
  }

  const single = plan.steps.length === 1;
  const reached = new Map<string, ProvisionedProject>();
  const authorities = await trustedAuthorities(process.env);
  const beforeCreation = preflight(neon.manage, values.neonOrgId);
  const steps = plan.steps.map((step) => ({ ...tenantOfStep(step), step }));
  const outcomes = await workThroughTenants({
    tenants: steps,
    concurrency: values.concurrency,
    signal,
    onOutcome: logTenant,
    work: ({ step }, { note, found }) =>
      provisionTenant(neon, step, {
        ready: values.ready ?? (values.fleetFile === undefined ? 'all' : 'recent'),
        authorities,
        migrate,
        seed,
        signal,
        note,
        pooled: single,
        lockWaitMs: values.lockWait,
        withheld: { schema: values.migrationsSchema, table: values.migrationsTable },
        mask: context.mask,
        isTold: single && Boolean(process.env['GITHUB_OUTPUT']),
        beforeCreation,
        onFound: found,
        register,
        secrets,
        now: () => new Date(),
        onReachable: (project) => reached.set(project.projectId, project),
      }),
  });

  await register?.end();
  const reachable = [...reached.values()];
  setProjectOutputs(reachable, { single, mask: context.mask });
  const report = await publishRun({
    action: 'provision',
    command: values.command,
    startedAt: context.startedAt,
    outcomes,
    allowSkipped: values.allowSkipped,
    ...(values.fleetFile === undefined ? {} : { appendix: `\n${renderPlan(plan)}` }),
  });
  await tellCatalog(values.catalogUrl, batchOf(report, reachable, migrate), process.env, signal);
}

/** What the catalog is told of a run: tenants that are ready, outcomes, and who made what. */
function batchOf(
  report: FleetReport,
  reachable: readonly ProvisionedProject[],
  migrate: { readonly folder: MigrationFolder; readonly table: MigrationsTable } | undefined,
): CatalogBatch {
  const version = migrate?.folder.migrations.at(-1)?.tag;
  const green = new Set(report.outcomes.flatMap(({ status, projectId }) => (isGreen(status) ? [projectId] : [])));
  const reached = new Map(reachable.map((project) => [project.projectId, project]));
  // Of one that only got its secret nobody read what schema it has.
  const isReady = (project: ProvisionedProject) => project.ready && green.has(project.projectId);
  const ready = reachable.filter(isReady);
  const run = runRecordOf(report, ({ projectId }) => {
    const project = reached.get(projectId);
    const isProven = project !== undefined && isReady(project);
    return {
      // What is at home in the project was found by its own names, which are registered in the same transaction.
      isDatabaseAssumed: true,
      ...(project === undefined ? {} : { key: project.key, regionId: project.regionId, pgVersion: project.pgVersion }),
      ...(version === undefined || !isProven ? {} : { to: version }),
      // Where a branch was named, its database is known under that name and not as the one of the default branch.
      ...(migrate === undefined || !isProven || project.found.branchId !== undefined
        ? {}
        : { verified: { table: qualifiedName(migrate.table), digest: migrate.folder.digest } }),
    };
  });
  const at = new Date();
  const readyAt = at.toISOString();
  return {
    schemaVersion: 1,
    projects: ready.map(({ key, name, projectId, regionId, pgVersion, found }) => ({
      key,
      name,
      projectId,
      regionId,
      pgVersion,
      database: found.database,
      role: found.role,
      status: 'ready',
      readyAt,
    })),
    run,
    events: ready
      .filter(({ created }) => created)
      .map(({ projectId }) => eventOf('provision', 'created', projectId, at)),
  };
}

/** A plan is no run: green means that it could be made, and that everything in it can be done. */
async function publishPlan(plan: ProvisionPlan, values: ProvisionInputs, context: ActionContext): Promise<void> {
  await publishRun({
    action: 'provision',
    command: 'plan',
    startedAt: context.startedAt,
    outcomes: plan.steps.map((step) => plannedOutcome(step, context.startedAt)),
    allowSkipped: values.allowSkipped,
    appendix: `\n${renderPlan(plan)}`,
  });
}

function plannedOutcome(step: TenantStep, startedAt: Date): Outcome {
  const { projectId, name, database } = tenantOfStep(step);
  const identity = { projectId, name, database, attempts: 0, startedAt: startedAt.toISOString(), durationMs: 0 };
  switch (step.step) {
    case 'refuse':
      return { ...identity, status: 'failed', detail: step.error.message, error: step.error };
    case 'unchanged':
      return { ...identity, status: 'unchanged', reason: 'up-to-date', detail: 'as it should be' };
    case 'create':
      return { ...identity, status: 'unchanged', reason: 'up-to-date', detail: 'would be created; nothing was done' };
    case 'update':
      return {
        ...identity,
        status: 'unchanged',
        reason: 'up-to-date',
        detail: `would be changed (${step.changes.map(({ setting }) => setting).join(', ')}); nothing was done`,
      };
  }
}

async function writePlan({ steps, ignored, unlisted, unavailable }: ProvisionPlan): Promise<string> {
  const folder = path.join(process.env['RUNNER_TEMP'] ?? tmpdir(), 'neon-fleet');
  await mkdir(folder, { recursive: true });
  const file = path.join(folder, 'provision-plan.json');
  const content = {
    schemaVersion: 1,
    steps: steps.map((step) => ({
      key: step.tenant.key,
      name: step.tenant.name,
      step: step.step,
      ...('project' in step ? { projectId: step.project.projectId } : {}),
      ...('changes' in step ? { changes: step.changes } : {}),
      ...('error' in step ? { error: step.error } : {}),
    })),
    ignored: ignored.map(({ project, glob }) => ({ projectId: project.projectId, name: project.name, glob })),
    unlisted: unlisted.map(({ projectId, name }) => ({ projectId, name })),
    unavailable,
  };
  await writeFile(file, `${JSON.stringify(content, null, 2)}\n`);
  return file;
}
