import { availableParallelism } from 'node:os';
import { promisify } from 'node:util';
import { gzip, type ZlibOptions } from 'node:zlib';

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
const MOST_OUTPUT_BYTES = 512 * 1024;
const LEAST_OUTPUT_BYTES = 16 * 1024;
/** zlib's most: about a tenth faster than its default, for 128 KiB more for each member under way. */
const MEM_LEVEL = 9;

const compress = promisify<Buffer, ZlibOptions, Buffer>(gzip);

/**
 * Compresses a stream on all cores: it is cut into blocks, each of which becomes a gzip member of its own, compressed in
 * Node's thread pool. Members one after the other are a gzip file (RFC 1952, 2.2), which any gunzip reads.
 */
export async function* gzipMembers(source: AsyncIterable<Uint8Array>, options: GzipOptions): AsyncGenerator<Buffer> {
  const { level, blockBytes = BLOCK_BYTES, inFlight = availableParallelism() + 1 } = options;
  // Memory that is used again is memory that nobody has to collect.
  const spare: Buffer[] = [];
  const member = (block: Buffer): Promise<Buffer> => {
    // Half a block is more than nearly every one becomes: one piece of memory, and nothing to put together.
    const chunkSize = Math.min(MOST_OUTPUT_BYTES, Math.max(LEAST_OUTPUT_BYTES, Math.ceil(block.length / 2)));
    const compressing = compress(block, { level, memLevel: MEM_LEVEL, chunkSize });
    const giveBack = () => {
      if (block.length === blockBytes) spare.push(block);
    };
    // It may fail before its turn comes; then is when it is told.
    compressing.then(giveBack, () => undefined);
    return compressing;
  };

  const members: Promise<Buffer>[] = [];
  let isEmpty = true;
  for await (const block of cut(source, blockBytes, () => spare.pop())) {
    isEmpty = false;
    members.push(member(block));
    const oldest = members.length >= inFlight ? members.shift() : undefined;
    if (oldest !== undefined) yield await oldest;
  }
  // Nothing at all is a valid gzip file only with a member in it.
  if (isEmpty) members.push(member(Buffer.alloc(0)));
  for (const rest of members) yield await rest;
}
