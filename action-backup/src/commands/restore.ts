import * as core from '@actions/core';
import {
  logTenant,
  printable,
  publishRun,
  setSecretOutput,
  Stores,
  type ActionContext,
} from '@neon-fleet/shared/actions';
import { memberNamed, tenantOf, workThroughTenants, type Tenant } from '@neon-fleet/shared/fleet';

import type { RestoreValues } from '../inputs.js';
import { carryOut, neonFor, tellWay, type Scene } from '../restore/carry-out.js';
import { openMigrations } from '../restore/migrate-restored.js';
import { openRestoreSurroundings } from '../restore/surroundings.js';
import { asTheFileSays, findWay, type Way } from '../restore/way.js';
import { archive } from '../storage/archive.js';
import { findAnywhere } from '../storage/find-anywhere.js';
import { tenantOfManifest } from '../storage/inventory.js';
import { fleetOf } from './discover.js';

/** `command: restore` of one tenant: the very moment out of Neon's history, or a backup out of S3. */
export async function restore(given: RestoreValues, context: ActionContext): Promise<void> {
  const { signal } = context.stop;
  const fleet = await fleetOf(given);
  const member = given.tenant === undefined ? undefined : memberNamed(fleet, given.tenant);
  const values = asTheFileSays(given, member);
  const stores = new Stores(values, process.env);
  await using surroundings = await openRestoreSurroundings(process.env, signal, (line) => core.info(printable(line)));
  const migrate = await openMigrations(values, values.migrateTo, surroundings.authorities);
  const neon = neonFor(values, context);
  const way = await findWay(values, {
    neon,
    findBackup: (wanted) =>
      findAnywhere(stores, values, fleet, wanted, {
        signal,
        onNote: (line) => core.warning(printable(line)),
        member,
      }),
    now: context.startedAt,
  });
  tellWay(way, values);

  const passwords = new Map<string, string>();
  const scene: Scene = { values, context, surroundings, migrate, neon, passwords };
  const outcomes = await workThroughTenants({
    tenants: [tenantOfWay(way, values)],
    concurrency: 1,
    signal,
    onOutcome: logTenant,
    work: (_, work) => carryOut(way, scene, work),
  });
  if (passwords.size > 0) setSecretOutput('role-passwords', JSON.stringify(Object.fromEntries(passwords)));
  const report = await publishRun({
    action: 'backup',
    command: 'restore',
    startedAt: context.startedAt,
    outcomes,
    allowSkipped: values.allowSkipped,
  });
  await archive(values, report);
}

/** Whom the report is about: the project as Neon has it, or the tenant as its manifest has it. */
function tenantOfWay(way: Way, values: RestoreValues): Tenant {
  return way.kind === 'instant' ? tenantOf(way.project, values) : tenantOfManifest(way.manifest);
}
