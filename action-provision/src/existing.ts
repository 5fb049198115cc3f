import { logTenant, openNeonFor, publishRun, tellRun, type ActionContext } from '@neon-fleet/shared/actions';
import type { CatalogBatch } from '@neon-fleet/shared/catalog';
import { ExplainedError } from '@neon-fleet/shared/errors';
import { workThroughTenants, type DesiredTenant, type FindingContext, type WorkResult } from '@neon-fleet/shared/fleet';
import type { ProjectState } from '@neon-fleet/shared/neon';

import { readDesired, type DesiredFleet } from './desired.js';
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
  /** Whether it is about a single tenant: then nothing is done when the inputs select several. */
  readonly ofOne?: true;
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
  { ofOne, work, news, appendix }: ExistingRun,
): Promise<void> {
  const { signal } = context.stop;
  const desired = await readDesired(values);
  if (ofOne === true) assertOne(values.command, desired);
  const neon = openNeonFor(values, context);
  const secrets = await openTenantSecrets(values, desired, context);
  const register = await openRegister(values.catalogUrl, context, { waitMs: values.lockWait, runUrl: undefined });
  await register?.end();
  const knownIds = register?.knownIds;
  const plan = await planFor(neon, desired, { ...values, knownIds }, signal);
  const tenants = plan.steps.map((step) => ({ ...tenantOfStep(step), step }));
  const outcomes = await workThroughTenants({
    tenants,
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
  const { catalogUrl } = values;
  await tellRun(report, { catalogUrl, tenants, besides: news?.(new Date()) ?? {}, signal });
}

const NAMES_SHOWN = 5;

/** The inputs hold patterns: how many tenants they select shows only against the file. */
function assertOne(command: string, { tenants }: DesiredFleet): void {
  if (tenants.length === 1) return;
  const names = tenants.slice(0, NAMES_SHOWN).map(({ key }) => JSON.stringify(key));
  const more = tenants.length > NAMES_SHOWN ? ' and others' : '';
  throw new ExplainedError({
    message: `tenants: ${tenants.length} tenants are selected (${names.join(', ')}${more}), and ${command} is for a single one; nothing was done`,
    hint: 'Set tenants to the key of the one that is meant.',
  });
}
