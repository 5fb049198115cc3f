import { explain, ExplainedError } from '@neon-fleet/shared/errors';
import { NEON_DEFAULTS, type DesiredTenant, type Tenant } from '@neon-fleet/shared/fleet';
import type { ProjectState } from '@neon-fleet/shared/neon';
import pMap from 'p-map';

import type { DesiredFleet } from './desired.js';
import { searchTerm } from './find-or-create.js';
import { planProvision, type ProvisionPlan, type TenantStep } from './plan.js';
import type { ManagedNeon } from './provision-tenant.js';
import { recognise } from './recognise.js';
import { withoutRecreations } from './recently-deleted.js';

/** What a plan is made by, besides what is desired. */
export interface LookOptions {
  /** Set: all tenants of a file. */
  readonly fleetFile: string | undefined;
  readonly knownIds: ReadonlyMap<string, string> | undefined;
  /** Whether a project that was deleted a moment ago keeps nobody from making another one. */
  readonly recreateDeleted: boolean;
}

/** One listing for a whole file; with names from the inputs only what a search for each of them gives. */
export async function planFor(
  neon: ManagedNeon,
  desired: DesiredFleet,
  options: LookOptions,
  signal: AbortSignal,
): Promise<ProvisionPlan> {
  const { knownIds, recreateDeleted } = options;
  if (options.fleetFile === undefined) {
    const plans = await pMap(desired.tenants, (tenant) => planForOne(neon, tenant, options, signal), {
      concurrency: 8,
    });
    // What else the organisation has is nobody's business here.
    return { steps: plans.flatMap(({ steps }) => steps), ignored: [], unlisted: [], unavailable: [] };
  }
  const listing = await neon.manage.listStates();
  const source = {
    desired: [...desired.tenants, ...desired.others],
    ignored: desired.ignored,
    listing,
    ...(knownIds === undefined ? {} : { knownIds }),
  };
  const madeFor = await recognise(neon.manage, planProvision(source));
  const plan = planProvision({ ...source, madeFor });
  const steps = plan.steps.filter(({ tenant }) => desired.tenants.includes(tenant));
  return { ...plan, steps: recreateDeleted ? steps : await withoutRecreations(neon.manage, steps) };
}

/** One that cannot be looked up is refused by itself, and stops nobody else. */
async function planForOne(
  neon: ManagedNeon,
  tenant: DesiredTenant,
  { knownIds, recreateDeleted }: LookOptions,
  signal: AbortSignal,
): Promise<ProvisionPlan> {
  try {
    const search = searchTerm(tenant.name);
    // Under the name that it had, when the catalog knows it: with the inputs alone there is no file to rename it in.
    const id = knownIds?.get(tenant.key);
    const listing = await neon.manage.listStates(search === undefined ? {} : { search });
    const known = id === undefined ? undefined : (await neon.manage.listStates({ search: id })).projects;
    const projects = [
      ...new Map([...listing.projects, ...(known ?? [])].map((each) => [each.projectId, each])).values(),
    ];
    const plan = planProvision({
      desired: [tenant],
      ignored: [],
      listing: { ...listing, projects },
      ...(knownIds === undefined ? {} : { knownIds }),
    });
    return recreateDeleted ? plan : { ...plan, steps: await withoutRecreations(neon.manage, plan.steps) };
  } catch (thrown) {
    if (signal.aborted) throw thrown;
    return { steps: [{ step: 'refuse', tenant, error: explain(thrown) }], ignored: [], unlisted: [], unavailable: [] };
  }
}

/** A tenant whose project may not exist yet: its id comes with its result then. */
export function tenantOfStep(step: TenantStep): Tenant {
  const { key, name, settings }: DesiredTenant = step.tenant;
  const { branch, database, role, labels = {} } = settings;
  return {
    key,
    name,
    projectId: 'project' in step ? step.project.projectId : step.step === 'refuse' ? (step.projectId ?? '') : '',
    ...(branch === undefined ? {} : { branch }),
    database: database ?? NEON_DEFAULTS.database,
    role: role ?? NEON_DEFAULTS.role,
    assumed: { database: database === undefined, role: role === undefined },
    labels,
  };
}

/** The project of a tenant that has one. @throws ExplainedError when it has none, or when it is not certain which. */
export function existingProject(step: TenantStep): ProjectState {
  if (step.step === 'refuse') throw new ExplainedError(step.error);
  if (step.step === 'create') {
    throw new ExplainedError({
      message: `there is no project of ${JSON.stringify(step.tenant.name)}; nothing was done`,
      hint: 'Is the name exactly that of the project in Neon? `command: apply` creates it.',
    });
  }
  return step.project;
}
