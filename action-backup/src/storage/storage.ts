import * as core from '@actions/core';
import { explain } from '@neon-fleet/shared/errors';
import { isHopeless, openStore, roleCredentials, type ObjectStore, type StoreCredentials } from '@neon-fleet/shared/s3';

/** The inputs that say where the backups are, parsed. */
export interface StorageInputs {
  readonly s3Bucket: string;
  readonly awsRegion: string | undefined;
  readonly s3Endpoint: string | undefined;
  readonly s3ForcePathStyle: boolean;
  readonly s3Compatible: boolean | undefined;
  readonly sse: 'AES256' | 'aws:kms' | 'aws:kms:dsse' | undefined;
  readonly kmsKeyId: string | undefined;
  readonly storageClass: string | undefined;
  readonly objectLockMode: 'GOVERNANCE' | 'COMPLIANCE' | undefined;
  readonly objectLockDays: number | undefined;
  readonly roleToAssume: string | undefined;
  readonly roleSessionName: string;
  readonly roleDuration: number;
}

/** Stores other than Amazon's mostly have one region and take any name for it. */
const REGION_OF_OTHERS = 'us-east-1';

/** Opens the bucket. No request is sent yet. */
export function openStorage(values: StorageInputs, env: Readonly<Record<string, string | undefined>>): ObjectStore {
  const { objectLockMode: mode, objectLockDays: days } = values;
  const region = values.awsRegion ?? filled(env['AWS_REGION']) ?? filled(env['AWS_DEFAULT_REGION']);
  return openStore({
    bucket: values.s3Bucket,
    region: region ?? (values.s3Endpoint === undefined ? undefined : REGION_OF_OTHERS),
    endpoint: values.s3Endpoint,
    forcePathStyle: values.s3ForcePathStyle,
    compatible: values.s3Compatible,
    credentials: credentialsOf(values, region),
    keeping: {
      encryption: values.sse,
      kmsKeyId: values.kmsKeyId,
      storageClass: values.storageClass,
      lock: mode === undefined || days === undefined ? undefined : { mode, days },
    },
  });
}

/** Whom AWS is to hear: its word for the audience of a token. */
const AUDIENCE = 'sts.amazonaws.com';

function credentialsOf(
  { roleToAssume: roleArn, roleSessionName: sessionName, roleDuration }: StorageInputs,
  region: string | undefined,
): (() => Promise<StoreCredentials>) | undefined {
  if (roleArn === undefined) return undefined;
  return roleCredentials({
    roleArn,
    sessionName,
    durationSeconds: Math.round(roleDuration / 1_000),
    region,
    mintToken: () => core.getIDToken(AUDIENCE),
    onSecret: (secret) => core.setSecret(secret),
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
