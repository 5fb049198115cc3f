import { setTimeout as delay } from 'node:timers/promises';

import { openCatalogIfThere, type ActionContext } from '@neon-fleet/shared/actions';
import type { Catalog, CatalogTenant } from '@neon-fleet/shared/catalog';
import { ExplainedError } from '@neon-fleet/shared/errors';

import type { Register } from './provision-tenant.js';

/** The catalog as a run of provision uses it. */
export interface FleetRegister extends Register {
  /** The id of each key's project, as recorded. */
  readonly knownIds: ReadonlyMap<string, string>;
  readonly end: () => Promise<void>;
}

const ASK_EVERY_MS = 500;

/** Opens the catalog for a run; undefined when there is none, or when it cannot be reached. */
export async function openRegister(
  url: string | undefined,
  context: ActionContext,
  { waitMs, runUrl }: { readonly waitMs: number; readonly runUrl: string | undefined },
): Promise<FleetRegister | undefined> {
  const { signal } = context.stop;
  const catalog = await openCatalogIfThere(url, { mask: context.mask, signal });
  if (catalog === undefined) return undefined;
  const known = new Map<string, CatalogTenant>();
  for await (const page of catalog.tenants()) for (const tenant of page) known.set(tenant.projectId, tenant);
  return {
    knownIds: new Map([...known.values()].map(({ key, projectId }) => [key, projectId])),
    isReady: (projectId) => {
      const status = known.get(projectId)?.status;
      return status === undefined ? undefined : status === 'ready';
    },
    async alone(key, attempt, work) {
      const claimed = await claim(catalog, key, attempt, runUrl, waitMs, signal);
      // Whoever had the claim before us may have recorded a project that Neon's list does not show yet.
      const [recorded] = await catalog.byKey(key);
      const result = await work(claimed, recorded?.projectId);
      await catalog.release(key);
      return result;
    },
    async created({ key, settings }, { projectId, name, regionId, pgVersion }) {
      const { branch, database, role } = settings;
      await catalog.write({
        schemaVersion: 1,
        projects: [
          {
            key,
            name,
            projectId,
            regionId,
            pgVersion,
            ...(branch === undefined ? {} : { branch }),
            ...(database === undefined ? {} : { database }),
            ...(role === undefined ? {} : { role }),
            status: 'creating',
          },
        ],
      });
    },
    end: () => catalog.end(),
  };
}

async function claim(
  catalog: Catalog,
  key: string,
  attempt: string,
  runUrl: string | undefined,
  waitMs: number,
  signal: AbortSignal,
): Promise<string> {
  const deadline = performance.now() + waitMs;
  for (;;) {
    const claimed = await catalog.claim(key, attempt, runUrl);
    if (claimed !== undefined) return claimed.attempt;
    if (performance.now() > deadline) {
      throw new ExplainedError({
        message: `another run is creating the project of ${JSON.stringify(key)}, and has been for a while`,
        hint: 'Run again when it has ended: the project is found then, and finished.',
      });
    }
    await delay(ASK_EVERY_MS, undefined, { signal });
  }
}
