import { createHash } from 'node:crypto';

import { ExplainedError } from '../errors/index.js';
import { readObject, type ObjectStore } from '../s3/index.js';
import type { Manifest } from './manifest.js';

type Store = Pick<ObjectStore, 'head' | 'getRange'>;

/** Opens the stored dump, provided that it is there and as large as its manifest says. @throws ExplainedError */
export async function openObject(
  store: Store,
  manifest: Manifest,
  signal: AbortSignal,
): Promise<AsyncIterable<Buffer>> {
  const head = await store.head(manifest.key, signal);
  if (head === undefined) throw damaged(manifest, 'its dump is not in the bucket any more');
  if (head.sizeBytes !== manifest.sizeBytes) {
    throw damaged(manifest, `it has ${head.sizeBytes} bytes instead of ${manifest.sizeBytes}`);
  }
  return readObject(store, { key: manifest.key, sizeBytes: manifest.sizeBytes, etag: head.etag }, signal);
}

/** Passes a stored dump on, and throws at its end unless it is the one that the manifest is about. */
export async function* checked(object: AsyncIterable<Buffer>, manifest: Manifest): AsyncGenerator<Buffer, void, void> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of object) {
    hash.update(chunk);
    bytes += chunk.length;
    yield chunk;
  }
  if (bytes !== manifest.sizeBytes) throw damaged(manifest, `it has ${bytes} bytes instead of ${manifest.sizeBytes}`);
  if (hash.digest('hex') !== manifest.sha256) {
    throw damaged(manifest, 'its checksum is not the one that was recorded');
  }
}

/** The backup is not what it was when it was made. */
export function damaged({ key }: Pick<Manifest, 'key'>, how: string): ExplainedError {
  return new ExplainedError({
    message: `the backup ${key} is damaged: ${how}`,
    hint: 'Nothing came of it. Restore an older backup by its key. If the bucket has versions, look whether an earlier one of this object is whole.',
  });
}
