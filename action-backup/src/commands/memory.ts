import { freemem } from 'node:os';

import * as core from '@actions/core';
import type { Tenant } from '@neon-fleet/shared/fleet';
import { planParts } from '@neon-fleet/shared/s3';

import { sizeWords } from '../words/sizes.js';

/** What a job will hold in memory at most for the parts of its uploads. */
export interface MemoryBound {
  readonly bytes: number;
  /** How it comes about, in words. */
  readonly words: string;
}

interface MemoryInputs {
  readonly concurrency: number;
  /** How many parts of one upload the store takes. */
  readonly s3MaxParts: number | undefined;
}

/**
 * The bound for the tenants that are known: part size × parts held, for as many of the largest as are worked on at the
 * same time. A project whose size Neon does not tell is taken for a small one. What Neon tells includes its history, so
 * that it is mostly too much rather than too little.
 */
export function memoryBound(
  tenants: readonly Pick<Tenant, 'storageBytes'>[],
  { concurrency, s3MaxParts }: MemoryInputs,
): MemoryBound {
  const plans = tenants
    .map(({ storageBytes = 0 }) => planParts(storageBytes, s3MaxParts))
    .toSorted((a, b) => b.partSizeBytes - a.partSizeBytes)
    .slice(0, concurrency);
  // One part is filled while the others are on their way.
  const bytes = plans.reduce((sum, plan) => sum + plan.partSizeBytes * (plan.partsInFlight + 1), 0);
  const [largest] = plans;
  const words =
    largest === undefined
      ? 'no uploads'
      : `parts of up to ${sizeWords(largest.partSizeBytes)} × ${largest.partsInFlight + 1} held × ${plans.length} tenants at the same time`;
  return { bytes, words };
}

/**
 * Tells in the log, before anything is started, how much memory the uploads take at most, and warns when the machine does
 * not have it.
 *
 * @returns the same for the job summary
 */
export function tellMemory(tenants: readonly Pick<Tenant, 'storageBytes'>[], inputs: MemoryInputs): string {
  const { bytes, words } = memoryBound(tenants, inputs);
  if (bytes === 0) return '';
  const line = `Memory for uploads: at most ${sizeWords(bytes)} in a job (${words}), besides pg_dump and compression`;
  core.info(line);
  const free = availableBytes();
  if (bytes > free) {
    core.warning(
      `The uploads may take ${sizeWords(bytes)}, and ${sizeWords(free)} of memory are free here. Lower concurrency, or use a larger runner.`,
    );
  }
  return `\n<p>${line}.</p>\n`;
}

/** What this process may still take: of its container where there is one. */
function availableBytes(): number {
  return 'availableMemory' in process ? process.availableMemory() : freemem();
}
