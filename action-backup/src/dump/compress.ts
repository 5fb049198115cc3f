import { PassThrough, pipeline, type Transform } from 'node:stream';
import zlib from 'node:zlib';

import { ExplainedError } from '@neon-fleet/shared/errors';

import type { DumpShape } from './dump-options.js';
import { gzipMembers } from './gzip.js';

/** Small enough that the allocator gives the same memory again: larger pieces are fetched from the kernel each time. */
const OUTPUT_CHUNK_BYTES = 64 * 1024;

/** A dump as it is stored. A custom one has compressed itself. */
export function compressed(
  source: AsyncIterable<Uint8Array>,
  { format, compression, compressionLevel: level }: DumpShape,
): AsyncIterable<Uint8Array> {
  if (format === 'custom' || compression === 'none') return source;
  return compression === 'gzip' ? gzipMembers(source, { level }) : zstd(source, level);
}

/** A stored object as the dump that it was. */
export function decompressor(compression: DumpShape['compression']): Transform {
  if (compression === 'none') return new PassThrough();
  if (compression === 'gzip') return zlib.createGunzip({ chunkSize: OUTPUT_CHUNK_BYTES });
  return zstdOf().createZstdDecompress({ chunkSize: OUTPUT_CHUNK_BYTES });
}

/** Whether this runtime can compress with zstd: Node 22.15 and newer, so GitHub's node24. */
export function hasZstd(): boolean {
  return 'createZstdCompress' in zlib;
}

function zstd(source: AsyncIterable<Uint8Array>, level: number): AsyncIterable<Uint8Array> {
  const { createZstdCompress, constants } = zstdOf();
  const compressor = createZstdCompress({
    chunkSize: OUTPUT_CHUNK_BYTES,
    params: { [constants.ZSTD_c_compressionLevel]: level },
  });
  // What fails in the source is thrown where the compressor is read.
  pipeline(source, compressor, () => undefined);
  return compressor;
}

function zstdOf(): typeof zlib {
  if (hasZstd()) return zlib;
  throw new ExplainedError({
    message: `Node ${process.versions.node} has no zstd`,
    hint: 'Node 22.15 and newer have it. Set compression: gzip, or run the action as node24.',
  });
}
