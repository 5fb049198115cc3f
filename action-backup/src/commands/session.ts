import * as core from '@actions/core';
import { openNeonFor, printable, sparingCatalog, type ActionContext } from '@neon-fleet/shared/actions';
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
import type { DumpShape } from '../dump/dump-options.js';
import type { SessionValues } from '../inputs.js';
import { normalisePrefix } from '../storage/keys.js';
import type { Manifest } from '../storage/manifest.js';
import { originOf } from '../words/origin.js';
import { earlierAttempts, runDigits } from '../storage/orphans.js';
import { checkStorage, openStorage } from '../storage/storage.js';

/** So many tenants in a row that Neon fails for are an outage; every call was repeated for minutes by then. */
export const BREAKER = { openAfter: 10 } as const;

/** What all tenants of one job are backed up with. */
export interface Session extends AsyncDisposable {
  readonly neon: Neon;
  readonly surroundings: BackupSurroundings;
  /** The backups made so far. */
  readonly made: readonly Manifest[];
  /** Keys of those that retention has deleted so far. */
  readonly gone: readonly string[];
}

/**
 * Opens the way to the bucket and to Neon, in this order: what is wrong about the bucket is known before a compute is
 * woken.
 *
 * @param share how many jobs call the Neon API at the same time.
 */
export async function openSession(values: SessionValues, context: ActionContext, share = 1): Promise<Session> {
  const { signal } = context.stop;
  const { env } = process;
  const prefix = normalisePrefix(values.s3Prefix);
  const store = openStorage(values, env);
  const neon = sparingCatalog(openNeonFor(values, context, { share }), values.catalogUrl);
  const unlistable = await checkStorage(store, prefix, signal);
  if (unlistable !== undefined) core.warning(printable(`The bucket cannot be listed: ${unlistable}`));
  const authorities = await trustedAuthorities(env);
  const trust = await prepareLibpqTrust(env);
  const made: Manifest[] = [];
  const gone: string[] = [];
  return {
    neon,
    made,
    gone,
    surroundings: {
      neon,
      store,
      clients: warnOfOldClients(openClientFinder({ env, signal, onNote: (line) => core.info(printable(line)) })),
      trust,
      authorities,
      env,
      prefix,
      shape: shapeOf(values),
      countRows: values.rowCounts === 'exact',
      maxParts: values.s3MaxParts,
      tags: values.tags,
      lockWaitMs: values.lockWait,
      retention: values.retention,
      orphans: { ageMs: values.orphanAge, earlier: earlierAttempts(env, context.startedAt) },
      digits: runDigits(env),
      due: { everyMs: values.every, skipUnchanged: values.skipUnchanged, maxSkipMs: values.maxSkip },
      origin: originOf(env),
      onBackup: (manifest: Manifest) => void made.push(manifest),
      onGone: (keys) => void gone.push(...keys),
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
