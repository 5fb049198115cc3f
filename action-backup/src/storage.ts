import { explain } from '@neon-fleet/shared/errors';
import { isHopeless, openStore, type ObjectStore } from '@neon-fleet/shared/s3';

/** The inputs that say where the backups are, parsed. */
export interface StorageInputs {
  readonly s3Bucket: string;
  readonly awsRegion: string | undefined;
  readonly s3Endpoint: string | undefined;
  readonly s3ForcePathStyle: boolean;
}

/** Stores other than Amazon's mostly have one region and take any name for it. */
const REGION_OF_OTHERS = 'us-east-1';

/** Opens the bucket. No request is sent yet. */
export function openStorage(values: StorageInputs, env: Readonly<Record<string, string | undefined>>): ObjectStore {
  const region = values.awsRegion ?? filled(env['AWS_REGION']) ?? filled(env['AWS_DEFAULT_REGION']);
  return openStore({
    bucket: values.s3Bucket,
    region: region ?? (values.s3Endpoint === undefined ? undefined : REGION_OF_OTHERS),
    endpoint: values.s3Endpoint,
    forcePathStyle: values.s3ForcePathStyle,
  });
}

/**
 * Looks whether the bucket can be reached at all, before a single compute is woken. That a role may write but not list is
 * no reason to stop.
 *
 * @throws S3Error when bucket, region or credentials are wrong.
 */
export async function checkStorage(
  store: ObjectStore,
  prefix: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    await store.list(prefix, { signal, limit: 1 })[Symbol.asyncIterator]().next();
    return undefined;
  } catch (thrown) {
    signal.throwIfAborted();
    if (isHopeless(thrown)) throw thrown;
    return explain(thrown).message;
  }
}

function filled(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}
