import { checkStorage, openStorage, type StorageInputs } from '@neon-fleet/shared/actions';
import { explain, ExplainedError } from '@neon-fleet/shared/errors';
import type { ObjectStore } from '@neon-fleet/shared/s3';

import { placeWords, type Place } from './place.js';

/** Opens each place once: its client keeps its connections and credentials. */
export class Stores {
  readonly #open = new Map<string, ObjectStore>();

  constructor(
    private readonly values: StorageInputs,
    private readonly env: Readonly<Record<string, string | undefined>>,
  ) {}

  /** No request is sent yet. */
  of({ bucket, region, kmsKeyId }: Place): ObjectStore {
    const id = JSON.stringify([bucket, region, kmsKeyId]);
    const { values, env } = this;
    const store =
      this.#open.get(id) ??
      openStorage(
        {
          ...values,
          s3Bucket: bucket,
          awsRegion: region,
          kmsKeyId,
          // A key that is named is meant to be used.
          sse: kmsKeyId === undefined || values.sse === 'aws:kms:dsse' ? values.sse : 'aws:kms',
        },
        env,
      );
    this.#open.set(id, store);
    return store;
  }
}

/**
 * Looks whether places can be reached at all, before a single compute is woken.
 *
 * @returns for each that cannot be listed why, in words.
 * @throws ExplainedError with all that are wrong.
 */
export async function checkStorages(stores: Stores, places: readonly Place[], signal: AbortSignal): Promise<string[]> {
  const problems: { place: Place; thrown: unknown }[] = [];
  const notes: string[] = [];
  for (const place of places) {
    try {
      const note = await checkStorage(stores.of(place), place.prefix, signal);
      if (note !== undefined) notes.push(places.length === 1 ? note : `${placeWords(place)}: ${note}`);
    } catch (thrown) {
      signal.throwIfAborted();
      problems.push({ place, thrown });
    }
  }
  const [first] = problems;
  if (first === undefined) return notes;
  if (places.length === 1) throw first.thrown;
  const lines = problems.map(({ place, thrown }) => `  ${placeWords(place)}: ${explain(thrown).message}`);
  const { hint } = explain(first.thrown);
  throw new ExplainedError(
    {
      message: `not every place of the backups can be reached; nothing was done.\n${lines.join('\n')}`,
      ...(hint === undefined ? {} : { hint }),
    },
    { cause: first.thrown },
  );
}
