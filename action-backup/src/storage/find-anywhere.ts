import type { Stores } from '@neon-fleet/shared/actions';
import type { Manifest, Place } from '@neon-fleet/shared/backups';
import { explain, ExplainedError } from '@neon-fleet/shared/errors';
import type { DesiredTenant, Fleet } from '@neon-fleet/shared/fleet';
import { S3Error, type ObjectStore } from '@neon-fleet/shared/s3';

import { policyOf, type PolicyInputs } from '../policy/policy.js';
import { findBackup, type WantedBackup } from './find-backup.js';
import { placesOf, whereWords } from './placed.js';

/** A backup, and where it lies. */
export interface FoundBackup {
  readonly manifest: Manifest;
  readonly store: ObjectStore;
}

interface Looking {
  readonly signal: AbortSignal;
  readonly onNote: (line: string) => void;
  /** Whom of the fleet file the tenant is that is wanted. */
  readonly member?: DesiredTenant | undefined;
}

/**
 * Finds a backup where its tenant's are. A member of the fleet file is looked for in its own place; a tenant that the file
 * does not know, or a backup by its key, in all places.
 *
 * @throws ExplainedError when there is none, or when several places have one; S3Error.
 */
export async function findAnywhere(
  stores: Stores,
  inputs: PolicyInputs,
  fleet: Fleet | undefined,
  wanted: WantedBackup,
  { signal, onNote, member }: Looking,
): Promise<FoundBackup> {
  const look = async (place: Place, what: WantedBackup): Promise<FoundBackup> => {
    const store = stores.of(place);
    return { manifest: await findBackup(store, what, { signal, onNote, prefix: place.prefix }), store };
  };
  const places = placesOf(inputs, fleet);
  const [only, ...others] = places;
  if (only !== undefined && others.length === 0 && fleet === undefined) return look(only, wanted);

  if (member !== undefined && !('key' in wanted)) return look(policyOf(inputs, member.settings.backup).place, wanted);
  const found: FoundBackup[] = [];
  const why: string[] = [];
  for (const place of 'key' in wanted ? placesOfKey(places, wanted.key) : places) {
    try {
      found.push(await look(place, wanted));
    } catch (thrown) {
      // What a store did not answer may be the newest.
      if (thrown instanceof S3Error || signal.aborted) throw thrown;
      why.push(explain(thrown).message);
    }
  }
  const [first, second] = found;
  if (first !== undefined && second === undefined) return first;
  if (second !== undefined) {
    throw new ExplainedError({
      message: `several places have it: ${found.map(({ store, manifest }) => `s3://${store.bucket}/${manifest.key}`).join(', ')}`,
      hint: 'Leave fleet-file out, and set s3-bucket and s3-prefix to the place that is meant.',
    });
  }
  throw new ExplainedError({
    message: `there is no such backup in ${whereWords(inputs, fleet)}: ${[...new Set(why)].slice(0, 3).join('; ')}`,
    hint: 'Check tenant, backup, s3-bucket and s3-prefix, and whether the fleet file is the one that the backup was made with.',
  });
}

/** Where a key may be: it says the whole way from its bucket, so that two places of one bucket have the same object. */
function placesOfKey(places: readonly Place[], key: string): Place[] {
  const fitting = places.filter(({ prefix }) => key.startsWith(prefix));
  return fitting.filter(({ bucket }, index) => fitting.findIndex((each) => each.bucket === bucket) === index);
}
