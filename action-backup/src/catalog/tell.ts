import { tellCatalog, tellRun, type ActionContext } from '@neon-fleet/shared/actions';
import { isObjectKey, type Manifest, type Verification } from '@neon-fleet/shared/backups';
import type { BackupRecord, CatalogBatch } from '@neon-fleet/shared/catalog';
import type { FleetReport, Tenant } from '@neon-fleet/shared/fleet';

import { EVERY_DATABASE } from '../commands/every-database.js';
import type { Session } from '../commands/session.js';

interface CatalogValues {
  readonly catalogUrl: string | undefined;
}

/** Tells the catalog what became of a run, the backups that it made, and those that retention deleted. */
export async function tellMade(
  report: FleetReport,
  { made, gone }: Pick<Session, 'made' | 'gone'>,
  tenants: readonly Tenant[],
  { catalogUrl, database }: CatalogValues & { readonly database: string | undefined },
  { stop }: Pick<ActionContext, 'stop'>,
): Promise<void> {
  await tellRun(report, {
    catalogUrl,
    // One database of many is not the one that the tenant's data is in.
    tenants: database === EVERY_DATABASE ? tenants.map(withAssumedPlace) : tenants,
    besides: { backups: made.map((manifest) => backupRecord(manifest)), ...goneBatch(gone) },
    signal: stop.signal,
  });
}

function withAssumedPlace(tenant: Tenant): Tenant {
  return { ...tenant, assumed: { database: true, role: true } };
}

/** Tells the catalog that backups are not there any more, and what happened to them if that is worth keeping. */
export async function tellGone(
  keys: readonly string[],
  { catalogUrl }: CatalogValues,
  { stop }: Pick<ActionContext, 'stop'>,
  events: CatalogBatch['events'] = [],
): Promise<void> {
  if (keys.length === 0 && events.length === 0) return;
  await tellCatalog(catalogUrl, { schemaVersion: 1, ...goneBatch(keys), events }, process.env, stop.signal);
}

/** Tells the catalog how drills ended. */
export async function tellDrills(
  drills: readonly { readonly manifest: Manifest; readonly verification: Verification }[],
  { catalogUrl }: CatalogValues,
  { stop }: Pick<ActionContext, 'stop'>,
): Promise<void> {
  if (drills.length === 0) return;
  const backups = drills.map(({ manifest, verification }) => backupRecord(manifest, verification));
  await tellCatalog(catalogUrl, { schemaVersion: 1, backups }, process.env, stop.signal);
}

/** A backup as the catalog takes it: what its manifest says, and how its last drill ended. */
export function backupRecord(
  { projectId, database, key, sizeBytes, sha256, finishedAt, contents }: Manifest,
  verification?: Pick<Verification, 'at' | 'outcome'>,
): BackupRecord {
  const last = contents?.migrations?.lastHash ?? '';
  return {
    projectId,
    database,
    storageKey: key,
    sizeBytes,
    sha256,
    // Drizzle's table records the hash of a migration, and in most formats not its name.
    ...(last === '' ? {} : { schemaVersion: last }),
    createdAt: contents?.snapshotAt ?? finishedAt,
    ...(verification === undefined ? {} : { verifiedAt: verification.at, verifyOutcome: verification.outcome }),
  };
}

/** Retention also clears what never was a backup. */
function goneBatch(keys: readonly string[]): Pick<CatalogBatch, 'backupsGone'> {
  const storageKeys = keys.filter(isObjectKey);
  return storageKeys.length === 0 ? {} : { backupsGone: { storageKeys, at: new Date().toISOString() } };
}
