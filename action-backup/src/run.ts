import * as core from '@actions/core';
import { logTenant, openNeonFor, printable, publishRun, type ActionContext } from '@neon-fleet/shared/actions';
import { discoverTenants, workThroughTenants } from '@neon-fleet/shared/fleet';
import { openClientFinder, prepareLibpqTrust, trustedAuthorities } from '@neon-fleet/shared/postgres';

import { backUpTenant } from './back-up-tenant.js';
import type { DumpShape } from './dump-options.js';
import { EVERY_DATABASE, expandDatabases } from './every-database.js';
import type { RunValues } from './inputs.js';
import { normalisePrefix } from './keys.js';
import type { Manifest } from './manifest.js';
import { originOf } from './origin.js';
import { earlierAttempts, runDigits } from './orphans.js';
import { checkStorage, openStorage } from './storage.js';

/** `command: run`: backs up every selected tenant. */
export async function run(values: RunValues, context: ActionContext): Promise<void> {
  const { signal } = context.stop;
  const { env } = process;
  const prefix = normalisePrefix(values.s3Prefix);
  const store = openStorage(values, env);
  const neon = openNeonFor(values, context);
  const unlistable = await checkStorage(store, prefix, signal);
  if (unlistable !== undefined) core.warning(printable(`The bucket cannot be listed: ${unlistable}`));

  const authorities = await trustedAuthorities(env);
  const { tenants, settled } = discoverTenants(await neon.listProjects(), values.tenants, values, new Date());
  const expanded =
    values.database === EVERY_DATABASE
      ? await expandDatabases(neon, tenants, values.concurrency)
      : { tenants, failed: [] };
  const trust = await prepareLibpqTrust(env);
  const backups: Manifest[] = [];
  try {
    const surroundings = {
      neon,
      store,
      clients: openClientFinder({ env, signal, onNote: (line) => core.info(printable(line)) }),
      trust,
      authorities,
      env,
      prefix,
      shape: shapeOf(values),
      countRows: values.rowCounts === 'exact',
      maxParts: values.s3MaxParts,
      lockWaitMs: values.lockWait,
      retention: values.retention,
      orphans: { ageMs: values.orphanAge, earlier: earlierAttempts(env, context.startedAt) },
      digits: runDigits(env),
      origin: originOf(env),
      onBackup: (manifest: Manifest) => void backups.push(manifest),
    };
    const worked = await workThroughTenants({
      tenants: expanded.tenants,
      concurrency: values.concurrency,
      signal,
      onOutcome: logTenant,
      work: (tenant, work) => backUpTenant(surroundings, tenant, work),
    });
    core.setOutput('backups', JSON.stringify(backups.map(backupOutput)));
    await publishRun({
      action: 'backup',
      command: 'run',
      startedAt: context.startedAt,
      outcomes: [...worked, ...expanded.failed, ...settled],
      allowSkipped: values.allowSkipped,
    });
  } finally {
    await trust.dispose();
  }
}

/** What of the inputs says what goes into a dump. */
export function shapeOf(values: RunValues): DumpShape {
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

function backupOutput({ projectId, database, key, sizeBytes }: Manifest) {
  return { projectId, database, key, sizeBytes };
}
