import { availableParallelism } from 'node:os';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';

import { cut } from '@neon-fleet/shared/s3';

export interface GzipOptions {
  /** 1 (fast) to 9 (small). */
  readonly level: number;
  /** How much goes into one member; a smaller one compresses worse. */
  readonly blockBytes?: number;
  /** How many members are compressed at the same time. */
  readonly inFlight?: number;
}

const BLOCK_BYTES = 1024 * 1024;
const OUTPUT_CHUNK_BYTES = 256 * 1024;

const compress = promisify<Buffer, { level: number; chunkSize: number }, Buffer>(gzip);

/**
 * Compresses a stream on all cores: it is cut into blocks, each of which becomes a gzip member of its own, compressed in
 * Node's thread pool. Members one after the other are a gzip file (RFC 1952, 2.2), which any gunzip reads.
 */
export async function* gzipMembers(source: AsyncIterable<Uint8Array>, options: GzipOptions): AsyncGenerator<Buffer> {
  const { level, blockBytes = BLOCK_BYTES, inFlight = availableParallelism() + 1 } = options;
  const member = (block: Buffer): Promise<Buffer> => {
    const compressing = compress(block, { level, chunkSize: OUTPUT_CHUNK_BYTES });
    // It may fail before its turn comes; then is when it is told.
    compressing.catch(() => undefined);
    return compressing;
  };

  const members: Promise<Buffer>[] = [];
  let isEmpty = true;
  for await (const block of cut(source, blockBytes)) {
    isEmpty = false;
    members.push(member(block));
    const oldest = members.length >= inFlight ? members.shift() : undefined;
    if (oldest !== undefined) yield await oldest;
  }
  // Nothing at all is a valid gzip file only with a member in it.
  if (isEmpty) members.push(member(Buffer.alloc(0)));
  for (const rest of members) yield await rest;
}
