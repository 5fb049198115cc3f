import * as core from '@actions/core';
import {
  logTenant,
  openNeonFor,
  printable,
  publishRun,
  tellIdleExclusions,
  type ActionContext,
} from '@neon-fleet/shared/actions';
import { discoverTenants, workThroughTenants } from '@neon-fleet/shared/fleet';
import { openClientFinder, prepareLibpqTrust, trustedAuthorities } from '@neon-fleet/shared/postgres';

import { backUpTenant } from './back-up-tenant.js';
import type { RunValues } from './inputs.js';
import { normalisePrefix } from './keys.js';
import type { Manifest } from './manifest.js';
import { originOf } from './origin.js';
import { checkStorage, openStorage } from './storage.js';

const DAY_MS = 24 * 60 * 60 * 1_000;

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
  const discovery = discoverTenants(await neon.listProjects(), values.tenants, values, new Date());
  const { tenants, settled } = discovery;
  const told = tellIdleExclusions(discovery);
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
      compressionLevel: values.compressionLevel,
      lockWaitMs: values.lockWait,
      retention:
        values.retention === undefined ? undefined : { keepMs: Number.parseInt(values.retention, 10) * DAY_MS },
      origin: originOf(env),
      onBackup: (manifest: Manifest) => void backups.push(manifest),
    };
    const worked = await workThroughTenants({
      tenants,
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
      outcomes: [...worked, ...settled],
      allowSkipped: values.allowSkipped,
      appendix: told,
    });
  } finally {
    await trust.dispose();
  }
}

function backupOutput({ projectId, database, key, sizeBytes }: Manifest) {
  return { projectId, database, key, sizeBytes };
}
