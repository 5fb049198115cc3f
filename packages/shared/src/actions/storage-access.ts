import * as core from '@actions/core';

import { placeWords, type Place } from '../backups/index.js';
import { explain, ExplainedError } from '../errors/index.js';
import {
  BUCKET_NAME,
  FOLDER,
  isHopeless,
  openStore,
  roleCredentials,
  STORE_REGION,
  type ObjectStore,
  type StoreCredentials,
} from '../s3/index.js';
import { booleanInput, durationInput, patternInput, urlInput } from './inputs.js';

/** Where the backups are; every action that reads or writes them takes these. */
export const storageInputs = {
  's3-bucket': patternInput({
    description: 'Bucket that the backups are in.',
    required: true,
    pattern: BUCKET_NAME,
    accepted: 'the name of a bucket, such as acme-backups',
  }),
  's3-prefix': patternInput({
    description: 'Folder in the bucket, such as `neon/production`. Default: the top of the bucket.',
    pattern: FOLDER,
    accepted: "folders of letters, digits and ! _ . * ' ( ) = -, separated by single slashes",
  }),
  'aws-region': patternInput({
    description: "Region of the bucket. Default: the environment's, which configure-aws-credentials sets.",
    pattern: STORE_REGION,
    accepted: 'the name of a region, such as eu-central-1',
  }),
  's3-endpoint': urlInput({ description: "Address of an S3-compatible store that is not Amazon's." }),
  's3-force-path-style': booleanInput({
    description: 'Name the bucket in the path instead of the host name, as MinIO and others need it.',
    default: 'false',
  }),
  's3-compatible': booleanInput({
    description:
      'Leave out what R2, MinIO, Ceph or Scaleway may reject, such as checksums of the whole. Default: by `s3-endpoint`.',
  }),
  'role-to-assume': patternInput({
    description:
      "ARN of a role to take by GitHub's word for this job, and to take anew before it ends, so that a run may be longer than a session. Needs `permissions: id-token: write`. Default: the SDK's own chain of credentials.",
    pattern: /^arn:aws[a-z-]*:iam::\d{12}:role\/[\w+=,.@/-]{1,512}$/,
    accepted: 'the ARN of a role, such as arn:aws:iam::123456789012:role/neon-fleet-backup',
  }),
  'role-session-name': patternInput({
    description: "Name of the session in AWS's own logs.",
    pattern: /^[\w+=,.@-]{2,64}$/,
    accepted: '2 to 64 letters, digits and _ + = , . @ -',
    default: 'neon-fleet-backup',
  }),
  'role-duration': durationInput({
    description: 'How long each session lasts, from 15m to 12h; the role has a maximum of its own.',
    default: '1h',
    maxMs: 12 * 3_600_000,
  }),
} as const;

/** The inputs that say where the backups are, parsed. */
export interface StorageInputs {
  readonly s3Bucket: string;
  readonly awsRegion: string | undefined;
  readonly s3Endpoint: string | undefined;
  readonly s3ForcePathStyle: boolean;
  readonly s3Compatible: boolean | undefined;
  readonly roleToAssume: string | undefined;
  readonly roleSessionName: string;
  readonly roleDuration: number;
  // Of those that write.
  readonly sse?: 'AES256' | 'aws:kms' | 'aws:kms:dsse' | undefined;
  readonly kmsKeyId?: string | undefined;
  readonly storageClass?: string | undefined;
  readonly objectLockMode?: 'GOVERNANCE' | 'COMPLIANCE' | undefined;
  readonly objectLockDays?: number | undefined;
}

/** Stores other than Amazon's mostly have one region and take any name for it. */
const REGION_OF_OTHERS = 'us-east-1';

type Environment = Readonly<Record<string, string | undefined>>;

/** Opens the bucket of the inputs, or that of a place. No request is sent yet. */
export function openStorage(values: StorageInputs, env: Environment, place?: Place): ObjectStore {
  const { objectLockMode: mode, objectLockDays: days } = values;
  const kmsKeyId = place === undefined ? values.kmsKeyId : place.kmsKeyId;
  const region = place?.region ?? values.awsRegion ?? filled(env['AWS_REGION']) ?? filled(env['AWS_DEFAULT_REGION']);
  return openStore({
    bucket: place?.bucket ?? values.s3Bucket,
    region: region ?? (values.s3Endpoint === undefined ? undefined : REGION_OF_OTHERS),
    endpoint: values.s3Endpoint,
    forcePathStyle: values.s3ForcePathStyle,
    compatible: values.s3Compatible,
    credentials: credentialsOf(values, region),
    keeping: {
      encryption: kmsKeyId === undefined ? values.sse : kmsBy(values.sse),
      kmsKeyId,
      storageClass: values.storageClass,
      lock: mode === undefined || days === undefined ? undefined : { mode, days },
    },
  });
}

/** A key that is named is meant to be used. */
function kmsBy(sse: StorageInputs['sse']): StorageInputs['sse'] {
  return sse === 'aws:kms:dsse' ? sse : 'aws:kms';
}

/** Opens each place once: its client keeps its connections and credentials. */
export class Stores {
  readonly #open = new Map<string, ObjectStore>();

  constructor(
    private readonly values: StorageInputs,
    private readonly env: Environment,
  ) {}

  of(place: Place): ObjectStore {
    const id = JSON.stringify([place.bucket, place.region, place.kmsKeyId]);
    const store = this.#open.get(id) ?? openStorage(this.values, this.env, place);
    this.#open.set(id, store);
    return store;
  }
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

/**
 * The same for several places.
 *
 * @returns for each that cannot be listed why, in words.
 * @throws ExplainedError with all that are wrong.
 */
export async function checkStorages(stores: Stores, places: readonly Place[], signal: AbortSignal): Promise<string[]> {
  const problems: { place: Place; thrown: unknown }[] = [];
  const notes: string[] = [];
  for (const place of places) {
    try {
      const note = await checkStorage(stores.of(place), place.prefix, signal);
      if (note !== undefined) notes.push(places.length === 1 ? note : `${placeWords(place)}: ${note}`);
    } catch (thrown) {
      signal.throwIfAborted();
      problems.push({ place, thrown });
    }
  }
  const [first] = problems;
  if (first === undefined) return notes;
  if (places.length === 1) throw first.thrown;
  const lines = problems.map(({ place, thrown }) => `  ${placeWords(place)}: ${explain(thrown).message}`);
  const { hint } = explain(first.thrown);
  throw new ExplainedError(
    {
      message: `not every place of the backups can be reached; nothing was done.\n${lines.join('\n')}`,
      ...(hint === undefined ? {} : { hint }),
    },
    { cause: first.thrown },
  );
}

function filled(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}
