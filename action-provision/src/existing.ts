import {
  logTenant,
  openNeonFor,
  publishRun,
  tellCatalog,
  runRecordOf,
  type ActionContext,
} from '@neon-fleet/shared/actions';
import type { CatalogBatch } from '@neon-fleet/shared/catalog';
import { workThroughTenants, type DesiredTenant, type FindingContext, type WorkResult } from '@neon-fleet/shared/fleet';
import type { ProjectState } from '@neon-fleet/shared/neon';

import { readDesired } from './desired.js';
import { openTenantSecrets, type TenantSecrets } from './github/tenant-secrets.js';
import type { ProvisionInputs } from './inputs.js';
import { existingProject, planFor, tenantOfStep } from './look.js';
import type { TenantStep } from './plan.js';
import type { ManagedNeon } from './provision-tenant.js';
import { openRegister } from './register.js';

/** What the work on a tenant that has its project already is given. */
export interface ExistingTenant extends FindingContext {
  readonly neon: ManagedNeon;
  readonly tenant: DesiredTenant;
  /** @throws ExplainedError when there is none. */
  readonly project: () => ProjectState;
  readonly step: TenantStep;
  /** The id that the file or the catalog has of its project. */
  readonly knownId: string | undefined;
  readonly secrets: TenantSecrets | undefined;
  /** Whether no other tenant is worked on in this run: what is found out about it can be an output. */
  readonly isOnly: boolean;
}

export interface ExistingRun {
  readonly work: (tenant: ExistingTenant) => Promise<WorkResult>;
  /** What the catalog is told besides the outcomes. */
  readonly news?: (now: Date) => Omit<CatalogBatch, 'schemaVersion' | 'run'>;
  /** What the summary says besides. */
  readonly appendix?: () => string;
}

/** Works on tenants that have their projects: finds them, does the work for each, and publishes the run. */
export async function workOnExisting(
  values: ProvisionInputs,
  context: ActionContext,
  { work, news, appendix }: ExistingRun,
): Promise<void> {
  const { signal } = context.stop;
  const desired = await readDesired(values);
  const neon = openNeonFor(values, context);
  const secrets = await openTenantSecrets(values, desired, context);
  const register = await openRegister(values.catalogUrl, context, { waitMs: values.lockWait, runUrl: undefined });
  await register?.end();
  const knownIds = register?.knownIds;
  const plan = await planFor(neon, desired, { ...values, knownIds }, signal);
  const outcomes = await workThroughTenants({
    tenants: plan.steps.map((step) => ({ ...tenantOfStep(step), step })),
    concurrency: values.concurrency,
    signal,
    onOutcome: logTenant,
    work: ({ step }, working) =>
      work({
        ...working,
        neon,
        secrets,
        isOnly: plan.steps.length === 1,
        step,
        tenant: step.tenant,
        knownId: step.tenant.projectId ?? knownIds?.get(step.tenant.key),
        project: () => existingProject(step),
      }),
  });
  const report = await publishRun({
    action: 'provision',
    command: values.command,
    startedAt: context.startedAt,
    outcomes,
    allowSkipped: values.allowSkipped,
    ...(appendix === undefined ? {} : { appendix: appendix() }),
  });
  const keyOf = new Map(
    plan.steps.flatMap((step) => ('project' in step ? [[step.project.projectId, step.tenant.key]] : [])),
  );
  const run = runRecordOf(report, ({ projectId }) => {
    const key = keyOf.get(projectId);
    return key === undefined ? {} : { key };
  });
  await tellCatalog(values.catalogUrl, { schemaVersion: 1, run, ...news?.(new Date()) });
}
