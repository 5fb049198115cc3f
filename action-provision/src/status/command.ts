import { mkdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import * as core from '@actions/core';
import { openCatalogIfThere, openNeonFor, publishRun, type ActionContext } from '@neon-fleet/shared/actions';
import type { CatalogStatus } from '@neon-fleet/shared/catalog';
import { readMigrations } from '@neon-fleet/shared/drizzle';
import { explain, ExplainedError } from '@neon-fleet/shared/errors';
import { NEON_DEFAULTS, selectTenants, type Outcome } from '@neon-fleet/shared/fleet';
import { NeonApiError, type Consumption, type StateListing } from '@neon-fleet/shared/neon';

import { readDesired } from '../desired.js';
import type { ProvisionInputs } from '../inputs.js';
import { planProvision } from '../plan.js';
import type { ManagedNeon } from '../provision-tenant.js';
import { renderPage } from './page.js';
import { hasFailed, statusOf, type FleetStatus, type StatusRow, type StatusSource } from './rows.js';
import { renderStatus } from './summary.js';

const CONSUMPTION_DAYS = 30;

/** `status`: the fleet at a glance, out of what Neon and the catalog say. Nobody is woken, nothing is changed. */
export async function showStatus(values: ProvisionInputs, context: ActionContext): Promise<void> {
  const neon = openNeonFor(values, context);
  const { signal } = context.stop;
  const catalog = await openCatalogIfThere(values.catalogUrl, { mask: context.mask, signal });
  const known = new Map<string, CatalogStatus>();
  if (catalog !== undefined) {
    for await (const page of catalog.status()) for (const tenant of page) known.set(tenant.projectId, tenant);
    await catalog.end();
  }
  const listing = await neon.manage.listStates();
  const tenants = await whom(values, listing, known);
  const use = await consumptionOf(neon, values, context.startedAt);
  const status = statusOf({
    tenants,
    projects: new Map(listing.projects.map((project) => [project.projectId, project])),
    catalog: known,
    consumption: use ?? new Map<string, Consumption>(),
    version:
      values.migrationsFolder === undefined
        ? undefined
        : (await readMigrations(values.migrationsFolder)).migrations.at(-1)?.tag,
    takenAt: context.startedAt,
    gaps: [
      ...(catalog === undefined
        ? ['Without a catalog nothing is known about schema versions, outcomes and backups.']
        : []),
      ...(use === undefined
        ? ['The use of compute is not known: the plan does not have it, or the API did not answer.']
        : []),
      ...(listing.unavailableProjectIds.length === 0
        ? []
        : [
            `Neon could not describe ${listing.unavailableProjectIds.length} projects: ${listing.unavailableProjectIds.slice(0, 20).join(', ')}.`,
          ]),
    ],
    idsOnly: values.privacy === 'ids',
  });
  const unavailable = new Set(listing.unavailableProjectIds);
  const files = await writeFiles(status);
  core.setOutput('status-json', files.json);
  core.setOutput('status-html', files.html);
  await publishRun({
    action: 'provision',
    command: 'status',
    startedAt: context.startedAt,
    outcomes: status.rows.map((row) => outcomeOf(row, unavailable, context.startedAt)),
    allowSkipped: values.allowSkipped,
    appendix: renderStatus(status),
  });
}

/** Whom it is about: the fleet file, else the globs, else everybody in the catalog. There is no silent everything. */
async function whom(
  values: ProvisionInputs,
  listing: StateListing,
  known: ReadonlyMap<string, CatalogStatus>,
): Promise<StatusSource['tenants']> {
  if (values.fleetFile !== undefined) {
    const { tenants, ignored } = await readDesired(values);
    const knownIds = new Map([...known.values()].map(({ key, projectId }) => [key, projectId]));
    const { steps } = planProvision({ desired: tenants, ignored, listing, knownIds });
    return steps.map((step) => ({
      key: step.tenant.key,
      name: step.tenant.name,
      projectId: 'project' in step ? step.project.projectId : (step.tenant.projectId ?? ''),
    }));
  }
  const all = [
    ...known.values(),
    ...listing.projects
      .filter(({ projectId }) => !known.has(projectId))
      .map((project) => ({ ...project, key: project.name })),
  ];
  if (values.tenants !== undefined) return selectTenants(all, values.tenants).selected;
  if (known.size > 0) return [...known.values()];
  throw new ExplainedError({
    message: 'status: neither fleet-file nor tenants is set, and there is no catalog; nothing was done',
    hint: "Set fleet-file, or tenants: '*' for every project that the key sees.",
  });
}

async function consumptionOf(
  neon: ManagedNeon,
  values: ProvisionInputs,
  now: Date,
): Promise<ReadonlyMap<string, Consumption> | undefined> {
  try {
    const { method, accountId } = await neon.manage.keyDetails();
    const orgId = values.neonOrgId ?? (method === 'organisation' ? accountId : undefined);
    if (orgId === undefined) return undefined;
    const from = new Date(now.getTime() - CONSUMPTION_DAYS * 86_400_000);
    return await neon.manage.consumption(orgId, ['compute_unit_seconds'], from, now);
  } catch (thrown) {
    if (!(thrown instanceof NeonApiError)) throw thrown;
    core.info(explain(thrown).message);
    return undefined;
  }
}

async function writeFiles(status: FleetStatus): Promise<{ readonly json: string; readonly html: string }> {
  const folder = path.join(process.env['RUNNER_TEMP'] ?? tmpdir(), 'neon-fleet');
  await mkdir(folder, { recursive: true });
  const files = { json: path.join(folder, 'status.json'), html: path.join(folder, 'status.html') };
  await writeFile(files.json, `${JSON.stringify(status, null, 2)}\n`);
  await writeFile(files.html, renderPage(status));
  return files;
}

/** A status tells; that somebody is behind or failed once is no failure of telling it. What is not there is one. */
function outcomeOf(row: StatusRow, unavailable: ReadonlySet<string>, startedAt: Date): Outcome {
  const identity = {
    projectId: row.projectId,
    name: row.name,
    database: NEON_DEFAULTS.database,
    attempts: 0,
    startedAt: startedAt.toISOString(),
    durationMs: 0,
  };
  if (unavailable.has(row.projectId)) {
    return { ...identity, status: 'skipped', reason: 'unlisted', detail: 'Neon could not describe this project' };
  }
  if (row.isMissing) return { ...identity, status: 'skipped', reason: 'gone', detail: 'it is not in Neon' };
  const words = [
    row.version === undefined ? 'version not known' : `at ${row.version}`,
    ...(row.isBehind ? ['behind the fleet'] : []),
    ...(hasFailed(row) ? [`last migration: ${row.outcome ?? ''}`] : []),
  ];
  return { ...identity, status: 'unchanged', reason: 'up-to-date', detail: words.join('; ') };
}
