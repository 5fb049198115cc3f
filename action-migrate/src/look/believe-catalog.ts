import { openNeededCatalog, type ActionContext } from '@neon-fleet/shared/actions';
import type { CatalogVersion } from '@neon-fleet/shared/catalog';
import { settle, type Outcome, type Tenant, type TenantResult } from '@neon-fleet/shared/fleet';

import type { WantedSchema } from '../engine.js';
import { proofOf } from '../proof.js';
import type { Rollout } from '../rollout.js';

/** What the catalog says about the tenants of a plan. */
export interface Believed {
  /** Those that there is work for, or of which the catalog is not certain: carrying the plan out looks at these. */
  readonly withWork: readonly Tenant[];
  /** Those that are up to date by the catalog. */
  readonly settled: readonly Outcome[];
}

/**
 * `state: catalog`: decides by what was read in each database when it was last worked on, and wakes nobody.
 *
 * @throws ExplainedError when the catalog cannot be reached.
 */
export async function believeCatalog(
  { engine }: Pick<Rollout, 'engine'>,
  tenants: readonly Tenant[],
  catalogUrl: string,
  context: ActionContext,
): Promise<Believed> {
  const known = await knownVersions(catalogUrl, context);
  const withWork: Tenant[] = [];
  const settled: Outcome[] = [];
  for (const tenant of tenants) {
    const result = foreseenByCatalog(tenant, known.get(tenant.projectId) ?? [], await engine.schemaOf(tenant));
    if (result === undefined) withWork.push(tenant);
    else settled.push(settle(tenant, result, context.startedAt));
  }
  return { withWork, settled };
}

/** What is certain about the databases of each project. */
async function knownVersions(
  catalogUrl: string,
  { mask, stop }: ActionContext,
): Promise<ReadonlyMap<string, readonly CatalogVersion[]>> {
  await using catalog = await openNeededCatalog(catalogUrl, { mask, signal: stop.signal });
  const known = new Map<string, readonly CatalogVersion[]>();
  for await (const page of catalog.versions()) {
    for (const { projectId, versions } of page) known.set(projectId, versions);
  }
  return known;
}

/**
 * What migrating would make of a tenant by what is recorded of this very database, branch and table; undefined when there
 * is work for it, or when the record was made of other migrations: an edited file, or one merged out of order.
 */
export function foreseenByCatalog(
  { branch = '', database }: Pick<Tenant, 'branch' | 'database'>,
  recorded: readonly CatalogVersion[],
  wanted: WantedSchema,
): TenantResult | undefined {
  const there = recorded.flatMap((each) => {
    if (each.branch !== branch || each.database !== database) return [];
    const proof = proofOf(wanted, each.version);
    return proof?.table === each.table && proof.digest === each.digest ? [each.version] : [];
  });
  const [version] = there;
  if (version === undefined) return undefined;
  const tags = wanted.folder.migrations.map(({ tag }) => tag);
  if (tags.indexOf(version) < tags.indexOf(wanted.target)) return undefined;
  const beyond = version === wanted.target ? '' : `, which is beyond ${wanted.target}; nothing is taken back`;
  return {
    status: 'unchanged',
    reason: 'up-to-date',
    detail: `at ${version}${beyond}, by the catalog`,
    migration: { from: version, to: version, applied: [], pending: [] },
  };
}
