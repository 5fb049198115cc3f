import type { Stores } from '@neon-fleet/shared/actions';
import { checkPlaces, distinctPlaces, placeFor, type Place, placeWords } from '@neon-fleet/shared/backups';
import { membersBy, type DesiredTenant, type Fleet } from '@neon-fleet/shared/fleet';
import type { ObjectStore } from '@neon-fleet/shared/s3';

import { policyOf, type Policy, type PolicyInputs } from '../policy/policy.js';
import { readInventory, selectStored, type NamedDatabase } from './inventory.js';

/** What one place holds of one database, and whose it is. */
export interface PlacedDatabase extends NamedDatabase {
  readonly place: Place;
  readonly store: ObjectStore;
  /** The fleet's own name of the tenant; without a fleet file that of the project. */
  readonly key: string;
  /** Whom of the fleet file it belongs to. */
  readonly member: DesiredTenant | undefined;
  /** Of its tenant; of one that the fleet file does not know, that of the inputs. */
  readonly policy: Policy;
}

/** All places where backups of a fleet may be, the one of the inputs first. @throws ExplainedError for contradictions */
export function placesOf(inputs: PolicyInputs, fleet: Fleet | undefined): Place[] {
  const own = (fleet?.members ?? []).map(({ settings }) => placeFor(inputs, settings.backup));
  const all = [placeFor(inputs), ...own];
  checkPlaces(all);
  return distinctPlaces(all);
}

/** What is found in all places. */
export interface Found {
  readonly databases: readonly PlacedDatabase[];
  /** What lies in a place that is not its tenant's any more. */
  readonly strays: readonly PlacedDatabase[];
}

/**
 * Reads what lies in all places, for commands that need S3 only.
 *
 * @throws S3Error, or the reason of the signal.
 */
export async function readPlaces(
  stores: Stores,
  inputs: PolicyInputs,
  fleet: Fleet | undefined,
  options: { readonly signal: AbortSignal; readonly onNote: (line: string) => void },
): Promise<Found> {
  const memberOf = membersBy(fleet?.members ?? []);
  const found: PlacedDatabase[] = [];
  for (const place of placesOf(inputs, fleet)) {
    const store = stores.of(place);
    for (const stored of await readInventory(store, { ...options, prefix: place.prefix })) {
      const member = memberOf(stored);
      const policy = policyOf(inputs, member?.settings.backup);
      found.push({ ...stored, place, store, member, key: member?.key ?? stored.name, policy });
    }
  }
  const isStray = ({ member, place, policy }: PlacedDatabase) =>
    member !== undefined && placeWords(place) !== placeWords(policy.place);
  return { databases: found.filter((each) => !isStray(each)), strays: found.filter(isStray) };
}

/** Says of strays that they are left where they are, for commands that leave them. */
export function tellStrays(strays: readonly PlacedDatabase[], onNote: (line: string) => void): void {
  for (const { name, database, place, backups } of strays) {
    onNote(
      `${placeWords(place)} still holds ${backups.length} backups of ${name} (${database}), whose place is another one now: they are neither counted nor deleted.`,
    );
  }
}

/**
 * What is found in all places of those that are selected; all, when nobody is named.
 *
 * @throws ExplainedError when a pattern matches nothing; S3Error, or the reason of the signal.
 */
export async function choosePlaced(
  stores: Stores,
  inputs: PolicyInputs & { readonly tenants: readonly string[] | undefined; readonly database: string | undefined },
  fleet: Fleet | undefined,
  options: { readonly signal: AbortSignal; readonly onNote: (line: string) => void },
): Promise<PlacedDatabase[]> {
  const { databases, strays } = await readPlaces(stores, inputs, fleet, options);
  tellStrays(strays, options.onNote);
  const { tenants = ['*'], database } = inputs;
  return selectStored(databases, { tenants, database }, whereWords(inputs, fleet));
}

/** Where was looked, in words. */
export function whereWords(inputs: PolicyInputs, fleet: Fleet | undefined): string {
  const [first, ...others] = placesOf(inputs, fleet).map(placeWords);
  return others.length === 0 ? (first ?? '') : `${first} and ${others.length} other places of the fleet file`;
}
