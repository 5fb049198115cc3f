import { createHash } from 'node:crypto';

import { planParts, uploadStream, type ObjectStore } from '@neon-fleet/shared/s3';

import { gzipMembers } from './gzip.js';
import { DumpWatch } from './trailer.js';

export interface DumpToStore {
  readonly key: string;
  /** What the database is large; the size of the parts is chosen by it. */
  readonly databaseBytes: number;
  readonly compressionLevel: number;
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
  const watch = new DumpWatch();
  const hash = createHash('sha256');
  const { sizeBytes } = await uploadStream(store, {
    key: dump.key,
    contentType: 'application/gzip',
    metadata: {},
    ...planParts(dump.databaseBytes),
    signal: dump.signal,
    source: async function* (signal) {
      for await (const member of gzipMembers(dump.open(watch, signal), { level: dump.compressionLevel })) {
        hash.update(member);
        yield member;
      }
    },
  });
  return { sizeBytes, dumpBytes: watch.bytes, sha256: hash.digest('hex') };
}
