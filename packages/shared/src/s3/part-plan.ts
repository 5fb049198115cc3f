/** How an upload is cut: all parts but the last are equally large, which some stores demand. */
export interface PartPlan {
  readonly partSizeBytes: number;
  /** How many parts are on their way at the same time. Memory: one part more than that. */
  readonly partsInFlight: number;
  /** How many parts the store takes; absent: S3's own limit. */
  readonly maxParts?: number;
}

const MIB = 1024 * 1024;
const SMALLEST_PART = 8 * MIB;
const LARGEST_PART = 5 * 1024 * MIB; // S3's limit
const MAX_PARTS = 10_000; // S3's limit
const MEMORY_FOR_PARTS = 64 * MIB;
const MOST_IN_FLIGHT = 3;

/** How much larger than expected an upload may become before its parts run out. */
const MARGIN = 2;

/**
 * Chooses the size of the parts so that an upload of about this size, and one of twice it, fits into the number of parts
 * that the store takes.
 */
export function planParts(expectedBytes: number, maxParts: number = MAX_PARTS): PartPlan {
  const needed = Math.ceil((expectedBytes * MARGIN) / maxParts / MIB) * MIB;
  const partSizeBytes = Math.min(Math.max(SMALLEST_PART, needed), LARGEST_PART);
  return {
    partSizeBytes,
    maxParts,
    partsInFlight: Math.min(MOST_IN_FLIGHT, Math.max(1, Math.floor(MEMORY_FOR_PARTS / partSizeBytes))),
  };
}

/** The number of the last part that S3 takes. */
export const LAST_PART = MAX_PARTS;
