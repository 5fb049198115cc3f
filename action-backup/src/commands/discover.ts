import * as core from '@actions/core';
import {
  catalogProjectOf,
  discoverFleet,
  mayBePrivate,
  printableLine,
  tellIdleExclusions,
  type ActionContext,
} from '@neon-fleet/shared/actions';
import {
  discoverMembers,
  discoverTenants,
  readFleetFile,
  type Discovery,
  type Fleet,
  type Outcome,
  type Tenant,
} from '@neon-fleet/shared/fleet';
import type { ProjectListing } from '@neon-fleet/shared/neon';

import type { RunValues } from '../inputs.js';
import { placesOf } from '../storage/placed.js';
import { EVERY_DATABASE, expandDatabases } from './every-database.js';
import type { Session } from './session.js';

/** Reads the fleet file, when there is one. @throws FleetFileError with everything that is wrong with it */
export async function fleetOf({ fleetFile }: { readonly fleetFile: string | undefined }): Promise<Fleet | undefined> {
  return fleetFile === undefined ? undefined : readFleetFile(fleetFile);
}

type SelectionValues = Pick<RunValues, 'tenants' | 'database' | 'role' | 'branch'>;

/** Whom a run is about: the fleet file's tenants, or projects by the globs alone. */
export function chooseTenants(
  listing: ProjectListing,
  values: SelectionValues,
  fleet: Fleet | undefined,
  catalogProject: string | undefined,
): Discovery {
  const context = { mayBePrivate: mayBePrivate(), catalogProject };
  const { tenants: patterns } = values;
  if (fleet === undefined) return discoverTenants(listing, patterns ?? [], values, new Date(), context);
  const found = discoverMembers(listing, fleet, patterns, values, new Date(), context);
  if (patterns === undefined && found.strangers.length > 0) {
    const names = found.strangers.slice(0, 10).map(({ name, projectId }) => `${JSON.stringify(name)} (${projectId})`);
    const more = found.strangers.length > names.length ? `, and ${found.strangers.length - names.length} more` : '';
    core.warning(
      printableLine(
        `Projects that the fleet file does not know, and that nobody backs up here: ${names.join(', ')}${more}. Add them, or name them under "ignored".`,
      ),
    );
  }
  return found;
}

/** Chooses who takes part, and which of their databases. What is wrong about a place is known before anybody is woken. */
export async function discover(
  session: Pick<Session, 'neon' | 'checkPlacesOf'>,
  values: RunValues,
  context: ActionContext,
): Promise<{ readonly tenants: readonly Tenant[]; readonly settled: readonly Outcome[]; readonly told: string }> {
  const { neon } = session;
  const fleet = await fleetOf(values);
  // With a file it is known only then whose places are meant.
  if (fleet === undefined) await session.checkPlacesOf([{}]);
  else placesOf(values, fleet);
  const found =
    values.source === 'catalog'
      ? await discoverFleet({ ...values, tenants: values.tenants ?? [] }, neon, context)
      : chooseTenants(await neon.listProjects(), values, fleet, await catalogProjectOf(values.catalogUrl, context));
  if (fleet !== undefined) await session.checkPlacesOf(found.tenants);
  const told = tellIdleExclusions(found);
  if (values.database !== EVERY_DATABASE) return { ...found, told };
  const { tenants, failed } = await expandDatabases(neon, found.tenants, values.concurrency);
  return { tenants, settled: [...found.settled, ...failed], told };
}
