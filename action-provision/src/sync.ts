import { readFile } from 'node:fs/promises';

import * as core from '@actions/core';
import { openNeonFor, printableLine, publishRun, type ActionContext } from '@neon-fleet/shared/actions';
import { catalogBatchSchema, openCatalog, type Catalog, type CatalogTenant } from '@neon-fleet/shared/catalog';
import { explain, ExplainedError } from '@neon-fleet/shared/errors';
import { NEON_DEFAULTS, type Outcome } from '@neon-fleet/shared/fleet';
import type { ProjectState, StateListing } from '@neon-fleet/shared/neon';
import { trustedAuthorities } from '@neon-fleet/shared/postgres';

import { readDesired } from './desired.js';
import type { ProvisionInputs } from './inputs.js';
import { planProvision } from './plan.js';

/**
 * `sync`: tells the catalog what it missed while it was down, and makes it agree with Neon: projects of the fleet file
 * that it does not know, names that changed, projects that are gone. Neon itself is only read.
 */
export async function syncCatalog(values: ProvisionInputs, context: ActionContext): Promise<void> {
  const { catalogUrl, replay = [], fleetFile } = values;
  if (catalogUrl === undefined) throw new ExplainedError({ message: 'sync: catalog-url is not set; nothing was done' });
  context.mask(catalogUrl);
  const authorities = await trustedAuthorities(process.env);
  await using catalog = await openCatalog(catalogUrl, { authorities, signal: context.stop.signal });
  for (const file of replay) {
    await catalog.write(await readBatch(file));
    core.info(printableLine(`Told the catalog what was kept in ${file}`));
  }
  const outcomes = fleetFile === undefined ? [] : await reconcile(catalog, values, context);
  await publishRun({
    action: 'provision',
    command: 'sync',
    startedAt: context.startedAt,
    outcomes,
    allowSkipped: values.allowSkipped,
  });
}

async function readBatch(file: string) {
  try {
    return catalogBatchSchema.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch (thrown) {
    throw new ExplainedError({
      message: `replay: ${JSON.stringify(file)} is not what an action keeps for the catalog: ${explain(thrown).message.slice(0, 200)}`,
      hint: 'It is the file of the output catalog-replay. The files before it were told, and may be told again.',
    });
  }
}

async function reconcile(catalog: Catalog, values: ProvisionInputs, context: ActionContext): Promise<Outcome[]> {
  const neon = openNeonFor(values, context);
  const [fleet, listing] = await Promise.all([readDesired(values), neon.manage.listStates()]);
  const known = new Map<string, CatalogTenant>();
  for await (const page of catalog.tenants()) for (const tenant of page) known.set(tenant.projectId, tenant);

  const knownIds = new Map([...known.values()].map(({ key, projectId }) => [key, projectId]));
  const { steps } = planProvision({ desired: fleet.tenants, ignored: fleet.ignored, listing, knownIds });
  const there = steps.flatMap((step) => ('project' in step ? [{ project: step.project, tenant: step.tenant }] : []));
  const unknown = there.filter(({ project, tenant }) => known.get(project.projectId)?.key !== tenant.key);
  // Neon's list may be late, or somebody has recovered one.
  const retired = await catalog.retired(unknown.map(({ project }) => project.projectId));
  const missing = unknown.filter(({ project }) => !retired.has(project.projectId));
  await catalog.write({
    schemaVersion: 1,
    projects: missing.map(({ project, tenant: { key, settings } }) => ({
      key,
      name: project.name,
      projectId: project.projectId,
      regionId: project.regionId,
      pgVersion: project.pgVersion,
      ...(settings.branch === undefined ? {} : { branch: settings.branch }),
      ...(settings.database === undefined ? {} : { database: settings.database }),
      ...(settings.role === undefined ? {} : { role: settings.role }),
      status: 'ready',
    })),
  });
  const { renamed, gone } = differences(known, listing);
  await catalog.rename(renamed);
  await catalog.close(
    gone.map(({ projectId }) => projectId),
    'gone',
  );

  const say = outcomeAt(context.startedAt);
  return [
    ...missing.map(({ project }) => say(project, 'registered in the catalog')),
    ...unknown
      .filter(({ project }) => retired.has(project.projectId))
      .map(({ project }) =>
        say(project, 'left closed in the catalog: it was retired; `apply` opens one that was recovered'),
      ),
    ...renamed.map((project) => say(project, 'renamed in the catalog')),
    ...gone.map((tenant) => say(tenant, 'is not in Neon any more; closed in the catalog')),
    ...steps.flatMap((step): Outcome[] => {
      if (step.step !== 'refuse') return [];
      return [
        {
          ...identity(step.tenant.name, step.projectId ?? '', context.startedAt),
          status: 'failed',
          detail: step.error.message,
          error: step.error,
        },
      ];
    }),
  ];
}

/** What the catalog knows and Neon says otherwise. Of those that Neon could not describe nothing is known. */
function differences(known: ReadonlyMap<string, CatalogTenant>, listing: StateListing) {
  const names = new Map(listing.projects.map(({ projectId, name }) => [projectId, name]));
  const uncertain = new Set(listing.unavailableProjectIds);
  const tenants = [...known.values()];
  return {
    renamed: tenants.flatMap(({ projectId, name }) => {
      const now = names.get(projectId);
      return now === undefined || now === name ? [] : [{ projectId, name: now }];
    }),
    gone: tenants.filter(({ projectId }) => !names.has(projectId) && !uncertain.has(projectId)),
  };
}

function identity(name: string, projectId: string, startedAt: Date) {
  return {
    projectId,
    name,
    database: NEON_DEFAULTS.database,
    attempts: 1,
    startedAt: startedAt.toISOString(),
    durationMs: 0,
  };
}

function outcomeAt(startedAt: Date) {
  return ({ name, projectId }: Pick<ProjectState, 'name' | 'projectId'>, detail: string): Outcome => ({
    ...identity(name, projectId, startedAt),
    status: 'succeeded',
    detail,
  });
}
