import { createHash } from 'node:crypto';

import { planParts, uploadStream, type ObjectStore } from '@neon-fleet/shared/s3';

import { compressed } from '../dump/compress.js';
import { contentTypeOf, type DumpShape } from '../dump/dump-options.js';
import type { DumpWatch } from '../dump/trailer.js';

export interface DumpToStore {
  readonly key: string;
  /** What the database is large; the size of the parts is chosen by it. */
  readonly databaseBytes: number;
  /** The most parts of one upload that the store takes; undefined: S3's own limit. */
  readonly maxParts?: number | undefined;
  readonly tags?: Readonly<Record<string, string>> | undefined;
  readonly shape: DumpShape;
  readonly watch: DumpWatch;
  /** Opens the dump. It must throw unless it ended whole. */
  readonly open: (watch: DumpWatch, signal: AbortSignal) => AsyncIterable<Uint8Array>;
  readonly signal: AbortSignal;
}

/** What was stored, measured as it went by. */
export interface StoredDump {
  readonly sizeBytes: number;
  readonly dumpBytes: number;
  readonly sha256: string;
}

/** Compresses a dump and stores it, as one stream: nothing touches the disk, and memory holds a few parts. */
export async function storeDump(store: ObjectStore, dump: DumpToStore): Promise<StoredDump> {
  const { watch, shape } = dump;
  const hash = createHash('sha256');
  const { sizeBytes } = await uploadStream(store, {
    key: dump.key,
    contentType: contentTypeOf(shape),
    metadata: {},
    ...(dump.tags === undefined ? {} : { tags: dump.tags }),
    ...planParts(dump.databaseBytes, dump.maxParts),
    signal: dump.signal,
    source: async function* (signal) {
      for await (const piece of compressed(dump.open(watch, signal), shape)) {
        hash.update(piece);
        yield piece;
      }
    },
  });
  return { sizeBytes, dumpBytes: watch.bytes, sha256: hash.digest('hex') };
}
