import * as core from '@actions/core';
import {
  checkStorages,
  openNeonFor,
  printable,
  sparingCatalog,
  Stores,
  type ActionContext,
} from '@neon-fleet/shared/actions';
import { checkPlaces, distinctPlaces, placeFor, type Manifest } from '@neon-fleet/shared/backups';
import type { Tenant } from '@neon-fleet/shared/fleet';
import type { Neon } from '@neon-fleet/shared/neon';
import {
  knowsRestrict,
  openClientFinder,
  prepareLibpqTrust,
  trustedAuthorities,
  versionWords,
  type ClientFinder,
} from '@neon-fleet/shared/postgres';

import type { BackupSurroundings } from '../tenant/back-up-tenant.js';
import { WokenComputes } from '../tenant/suspend.js';
import type { DumpShape } from '../dump/dump-options.js';
import type { SessionValues } from '../inputs.js';
import { originOf } from '../words/origin.js';
import { earlierAttempts, runDigits } from '../storage/orphans.js';
import { policyOf } from '../policy/policy.js';

/** So many tenants in a row that Neon fails for are an outage; every call was repeated for minutes by then. */
export const BREAKER = { openAfter: 10 } as const;

/** What all tenants of one job are backed up with. */
export interface Session extends AsyncDisposable {
  readonly neon: Neon;
  /** What a tenant is backed up with, by its own policy. */
  readonly surroundingsOf: (tenant: Pick<Tenant, 'backup'>) => BackupSurroundings;
  /**
   * Looks whether all places that these tenants are backed up to can be reached, before one of them is woken.
   *
   * @throws ExplainedError with everything that is wrong.
   */
  readonly checkPlacesOf: (tenants: readonly Pick<Tenant, 'backup'>[]) => Promise<void>;
  /** The backups made so far. */
  readonly made: readonly Manifest[];
  /** Keys of those that retention has deleted so far. */
  readonly gone: readonly string[];
}

/**
 * Opens the way to Neon and to the places of the backups. No request is sent yet.
 *
 * @param share how many jobs call the Neon API at the same time.
 */
export async function openSession(values: SessionValues, context: ActionContext, share = 1): Promise<Session> {
  const { signal } = context.stop;
  const { env } = process;
  const stores = new Stores(values, env);
  const neon = sparingCatalog(openNeonFor(values, context, { share }), values.catalogUrl);
  const authorities = await trustedAuthorities(env);
  const trust = await prepareLibpqTrust(env);
  const made: Manifest[] = [];
  const gone: string[] = [];
  const surroundings = {
    neon,
    clients: warnOfOldClients(openClientFinder({ env, signal, onNote: (line) => core.info(printable(line)) })),
    trust,
    authorities,
    env,
    shape: shapeOf(values),
    countRows: values.rowCounts === 'exact',
    maxParts: values.s3MaxParts,
    tags: values.tags,
    lockWaitMs: values.lockWait,
    orphans: { ageMs: values.orphanAge, earlier: earlierAttempts(env, context.startedAt) },
    digits: runDigits(env),
    ...(values.suspendAfter ? { woken: new WokenComputes(neon) } : {}),
    origin: originOf(env),
    onBackup: (manifest: Manifest) => void made.push(manifest),
    onGone: (keys: readonly string[]) => void gone.push(...keys),
  };
  return {
    neon,
    made,
    gone,
    surroundingsOf: ({ backup }) => {
      const { place, everyMs, retention } = policyOf(values, backup);
      const due = { everyMs, skipUnchanged: values.skipUnchanged, maxSkipMs: values.maxSkip };
      return { ...surroundings, store: stores.of(place), prefix: place.prefix, retention, due };
    },
    checkPlacesOf: async (tenants) => {
      const places = tenants.map(({ backup }) => placeFor(values, backup));
      checkPlaces(places);
      const unlistable = await checkStorages(stores, distinctPlaces(places), signal);
      for (const why of unlistable) core.warning(printable(`The bucket cannot be listed: ${why}`));
    },
    [Symbol.asyncDispose]: () => trust.dispose(),
  };
}

/** What of the inputs says what goes into a dump. */
export function shapeOf(values: SessionValues): DumpShape {
  const { format, compression, compressionLevel } = values;
  return {
    format,
    compression,
    compressionLevel,
    excludeTables: values.excludeTables ?? [],
    excludeTableData: values.excludeTableData ?? [],
    schemas: values.schemas ?? [],
    extraArgs: values.extraArgs ?? [],
  };
}

/** Sets the output `backups`. */
export function tellBackups({ made }: Session): void {
  const backups = made.map(({ projectId, database, key, sizeBytes }) => ({ projectId, database, key, sizeBytes }));
  core.setOutput('backups', JSON.stringify(backups));
}

function warnOfOldClients(clients: ClientFinder): ClientFinder {
  const warned = new Set<string>();
  return {
    async forServer(major, fits) {
      const client = await clients.forServer(major, fits);
      const version = versionWords(client);
      if (!knowsRestrict(client) && !warned.has(version)) {
        warned.add(version);
        core.warning(
          `pg_dump ${version} lacks known security fixes (CVE-2025-8714 and later). Update the client programs of this runner.`,
        );
      }
      return client;
    },
  };
}
