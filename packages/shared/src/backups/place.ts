import { ExplainedError } from '../errors/index.js';
import { placeOf } from '../s3/index.js';
import { normalisePrefix } from './keys.js';

/** Where backups are kept, and with which key. */
export interface Place {
  readonly bucket: string;
  /** Normalised: empty, or with a slash at its end. */
  readonly prefix: string;
  /** Undefined: the environment's. */
  readonly region: string | undefined;
  /** Undefined: the bucket's own key, or none. */
  readonly kmsKeyId: string | undefined;
}

/** The inputs that say where the backups are of whom the fleet file says nothing else. */
export interface PlaceInputs {
  readonly s3Bucket: string;
  readonly s3Prefix: string | undefined;
  readonly awsRegion: string | undefined;
  readonly kmsKeyId?: string | undefined;
}

/** What the fleet file says of one tenant's place. */
export interface OwnPlace {
  readonly bucket?: string;
  readonly prefix?: string;
  readonly 'aws-region'?: string;
  readonly 'kms-key'?: string;
}

/** The place of one tenant: what the fleet file says, else the inputs, each setting by itself. */
export function placeFor(inputs: PlaceInputs, own: OwnPlace = {}): Place {
  return {
    bucket: own.bucket ?? inputs.s3Bucket,
    prefix: normalisePrefix(own.prefix ?? inputs.s3Prefix),
    region: own['aws-region'] ?? inputs.awsRegion,
    kmsKeyId: own['kms-key'] ?? inputs.kmsKeyId,
  };
}

/** A place in words; the same for two that hold the same objects. */
export function placeWords({ bucket, prefix }: Place): string {
  return placeOf(bucket, prefix);
}

/** Each place once, whatever it is encrypted with: in the order, and with the key, in which it is named first. */
export function distinctPlaces(places: readonly Place[]): Place[] {
  const distinct = new Map<string, Place>();
  for (const place of places) if (!distinct.has(placeWords(place))) distinct.set(placeWords(place), place);
  return [...distinct.values()];
}

const REGION_OF_KEY = /^arn:aws[a-z-]*:kms:([a-z0-9-]+):/;

/**
 * Checks places against one another: data that must stay in a country must not be sent elsewhere by a slip.
 *
 * @throws ExplainedError with every contradiction.
 */
export function checkPlaces(places: readonly Place[]): void {
  const regions = new Map<string, Set<string>>();
  const problems: string[] = [];
  for (const { bucket, region, kmsKeyId } of places) {
    if (region !== undefined) regions.set(bucket, (regions.get(bucket) ?? new Set()).add(region));
    const ofKey = kmsKeyId === undefined ? undefined : REGION_OF_KEY.exec(kmsKeyId)?.[1];
    if (ofKey !== undefined && region !== undefined && ofKey !== region) {
      problems.push(`the bucket ${bucket} in ${region} would be written with a key of ${ofKey}, ${kmsKeyId}`);
    }
  }
  for (const [bucket, each] of regions) {
    if (each.size > 1) problems.push(`the bucket ${bucket} is said to be in ${[...each].join(' and in ')}`);
  }
  if (problems.length === 0) return;
  throw new ExplainedError({
    message: `the places of the backups contradict one another; nothing was done.\n${[...new Set(problems)].map((line) => `  ${line}`).join('\n')}`,
    hint: 'A group of the fleet file that sets bucket needs aws-region and kms-key of its own, where they differ from the inputs.',
  });
}
