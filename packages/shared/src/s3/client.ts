import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  type ListMultipartUploadsCommandOutput,
  ListObjectsV2Command,
  ListPartsCommand,
  PutObjectCommand,
  S3Client,
  type StorageClass,
  UploadPartCommand,
} from '@aws-sdk/client-s3';

import { abortable } from './abortable.js';
import { attemptsOf, isNotFound, isNotImplemented, S3Error, s3Error } from './errors.js';
import type {
  DeleteRefusal,
  ListedObject,
  ObjectDescription,
  ObjectStore,
  OpenUpload,
  UploadedPart,
  WholeObject,
} from './store.js';

export interface StoreOptions {
  readonly bucket: string;
  /** Default: the environment's (`AWS_REGION`, shared configuration). */
  readonly region?: string | undefined;
  /** Default: Amazon's own. */
  readonly endpoint?: string | undefined;
  readonly forcePathStyle?: boolean | undefined;
  /** Whether to leave out what other stores than Amazon's reject: checksums and tags. Default: by the endpoint. */
  readonly compatible?: boolean | undefined;
  /** Default: the SDK's chain. */
  readonly credentials?: (() => Promise<StoreCredentials>) | undefined;
  /** How every object of value is kept. */
  readonly keeping?: Keeping | undefined;
  /** How often a request that may be repeated is sent at most. */
  readonly maxAttempts?: number;
}

const MAX_ATTEMPTS = 4;
const CONNECT_TIMEOUT_MS = 10_000;
const IDLE_TIMEOUT_MS = 60_000;
const MAX_SOCKETS = 256;
const KEYS_A_DELETE = 1_000; // the most that S3 takes
const BODY_ATTEMPTS = 3;
const CHECKSUMS = ['ChecksumCRC32', 'ChecksumCRC32C', 'ChecksumCRC64NVME', 'ChecksumSHA1', 'ChecksumSHA256'] as const;

/** Credentials that end at some time: they are asked for again before that. */
export interface StoreCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  readonly expiration?: Date;
}

/** How a store is to keep objects. */
export interface Keeping {
  readonly encryption?: 'AES256' | 'aws:kms' | 'aws:kms:dsse' | undefined;
  readonly kmsKeyId?: string | undefined;
  readonly storageClass?: string | undefined;
  /** Until when nobody may delete them. */
  readonly lock?: { readonly mode: 'GOVERNANCE' | 'COMPLIANCE'; readonly days: number } | undefined;
}

/** Where a page of unfinished uploads begins. */
interface UploadMarker {
  readonly KeyMarker?: string;
  readonly UploadIdMarker?: string;
}

/** Opens a bucket with the SDK's default chain of credentials. No request is sent yet. */
export function openStore(options: StoreOptions): ObjectStore {
  const { bucket } = options;
  const Bucket = bucket;
  const checksums = !(options.compatible ?? !isAmazon(options.endpoint));
  const kept = (object: ObjectDescription) => ({
    ...described(object),
    ...keptAs(options.keeping, new Date()),
    ...taggedAs(object),
  });
  // What is replaced by and by must not be locked; but a bucket may demand that all is encrypted.
  const encrypted = encryptedAs(options.keeping);
  const client = new S3Client({
    maxAttempts: options.maxAttempts ?? MAX_ATTEMPTS,
    forcePathStyle: options.forcePathStyle ?? false,
    ...(options.region === undefined ? {} : { region: options.region }),
    ...(options.endpoint === undefined ? {} : { endpoint: options.endpoint }),
    ...(options.credentials === undefined ? {} : { credentials: options.credentials }),
    // Several S3-compatible stores refuse the checksums that the SDK adds by itself.
    requestChecksumCalculation: checksums ? 'WHEN_SUPPORTED' : 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: {
      connectionTimeout: CONNECT_TIMEOUT_MS,
      socketTimeout: IDLE_TIMEOUT_MS,
      httpAgent: { maxSockets: MAX_SOCKETS },
      httpsAgent: { maxSockets: MAX_SOCKETS },
    },
  });

  async function call<T>(
    doing: string,
    signal: AbortSignal | undefined,
    send: (options: { abortSignal?: AbortSignal }) => Promise<T>,
  ): Promise<T> {
    signal?.throwIfAborted();
    try {
      return await abortable(send(signal === undefined ? {} : { abortSignal: signal }), signal);
    } catch (thrown) {
      signal?.throwIfAborted();
      throw s3Error(thrown, doing);
    }
  }

  /** Asks that nothing is overwritten, and does without when the store does not know that question. */
  async function ifAbsent<T>(send: (condition: { IfNoneMatch?: '*' }) => Promise<T>): Promise<T> {
    try {
      return await send({ IfNoneMatch: '*' });
    } catch (thrown) {
      if (isNotImplemented(thrown)) return send({});
      throw thrown;
    }
  }

  async function read(key: string, extra: { Range?: string; IfMatch?: string }, signal?: AbortSignal): Promise<Buffer> {
    const doing = `reading ${placeOf(bucket, key)}`;
    for (let attempt = 1; ; attempt += 1) {
      const { Body } = await call(doing, signal, (o) =>
        client.send(new GetObjectCommand({ Bucket, Key: key, ...extra }), o),
      );
      if (Body === undefined) return Buffer.alloc(0);
      try {
        return Buffer.from(await abortable(Body.transformToByteArray(), signal));
      } catch (thrown) {
        signal?.throwIfAborted();
        // The SDK repeats requests, but not answers that break off.
        if (attempt >= BODY_ATTEMPTS) throw s3Error(thrown, doing);
      }
    }
  }

  return {
    bucket,

    async put(object, body, signal) {
      const Key = object.key;
      await ifAbsent((condition) =>
        call(`writing ${placeOf(bucket, Key)}`, signal, (o) =>
          client.send(new PutObjectCommand({ Bucket, Key, Body: body, ...kept(object), ...condition }), o),
        ),
      );
    },

    async replace(object, body, signal) {
      const Key = object.key;
      await call(`writing ${placeOf(bucket, Key)}`, signal, (o) =>
        client.send(new PutObjectCommand({ Bucket, Key, Body: body, ...described(object), ...encrypted }), o),
      );
    },

    async head(key, signal) {
      try {
        const answer = await call(`looking at ${placeOf(bucket, key)}`, signal, (o) =>
          client.send(new HeadObjectCommand({ Bucket, Key: key }), o),
        );
        return {
          sizeBytes: answer.ContentLength ?? 0,
          metadata: answer.Metadata ?? {},
          ...(answer.ETag === undefined ? {} : { etag: answer.ETag }),
        };
      } catch (thrown) {
        if (isNotFound(thrown)) return undefined;
        throw thrown;
      }
    },

    get: (key, signal) => read(key, {}, signal),

    getRange: (key, { first, last }, etag, signal) =>
      read(key, { Range: `bytes=${first}-${last}`, ...(etag === undefined ? {} : { IfMatch: etag }) }, signal),

    async *list(prefix, { signal, limit } = {}) {
      let token: string | undefined;
      do {
        const answer = await call(`listing ${placeOf(bucket, prefix)}`, signal, (o) =>
          client.send(
            new ListObjectsV2Command({
              Bucket,
              Prefix: prefix,
              ...(limit === undefined ? {} : { MaxKeys: limit }),
              ...(token === undefined ? {} : { ContinuationToken: token }),
            }),
            o,
          ),
        );
        yield (answer.Contents ?? []).flatMap(({ Key, Size }): ListedObject[] =>
          Key === undefined ? [] : [{ key: Key, sizeBytes: Size ?? 0 }],
        );
        token = limit === undefined && answer.IsTruncated === true ? answer.NextContinuationToken : undefined;
      } while (token !== undefined);
    },

    async delete(keys, signal) {
      const refusals: DeleteRefusal[] = [];
      for (let start = 0; start < keys.length; start += KEYS_A_DELETE) {
        const Objects = keys.slice(start, start + KEYS_A_DELETE).map((Key) => ({ Key }));
        const answer = await call(`deleting in ${bucket}`, signal, (o) =>
          client.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects, Quiet: true } }), o),
        );
        for (const { Key, Code, Message } of answer.Errors ?? []) {
          refusals.push({ key: Key ?? '(a key it does not name)', why: Message ?? Code ?? 'refused without a reason' });
        }
      }
      return refusals;
    },

    async beginUpload(object, signal) {
      const doing = `beginning the upload of ${placeOf(bucket, object.key)}`;
      const answer = await call(doing, signal, (o) =>
        client.send(
          new CreateMultipartUploadCommand({
            Bucket,
            Key: object.key,
            ...kept(object),
            ...(checksums ? FULL_OBJECT : {}),
          }),
          o,
        ),
      );
      if (answer.UploadId === undefined) throw new S3Error({ message: 'the answer names no upload' }, doing);
      return { key: object.key, uploadId: answer.UploadId, mayHaveStrays: attemptsOf(answer) > 1 };
    },

    async uploadPart(upload, number, body, signal) {
      const doing = `uploading part ${number} of ${placeOf(bucket, upload.key)}`;
      const answer = await call(doing, signal, (o) =>
        client.send(new UploadPartCommand({ ...named(Bucket, upload), PartNumber: number, Body: body }), o),
      );
      if (answer.ETag === undefined) throw new S3Error({ message: 'the answer has no ETag' }, doing);
      const checksums = CHECKSUMS.flatMap((name) => {
        const sum = answer[name];
        return sum === undefined ? [] : [[name, sum] as const];
      });
      return { number, etag: answer.ETag, checksums: Object.fromEntries(checksums) };
    },

    async completeUpload(upload, parts, signal, whole) {
      const Parts = parts.map(partOf);
      const sum = checksums && whole !== undefined ? { ...wholeOf(whole) } : {};
      await ifAbsent((condition) =>
        call(`completing the upload of ${placeOf(bucket, upload.key)}`, signal, (o) =>
          client.send(
            new CompleteMultipartUploadCommand({
              ...named(Bucket, upload),
              MultipartUpload: { Parts },
              ...sum,
              ...condition,
            }),
            o,
          ),
        ),
      );
    },

    async abortUpload(upload, signal) {
      try {
        await call(`aborting the upload of ${placeOf(bucket, upload.key)}`, signal, (o) =>
          client.send(new AbortMultipartUploadCommand(named(Bucket, upload)), o),
        );
      } catch (thrown) {
        if (!isNotFound(thrown)) throw thrown;
      }
    },

    async uploadExists(upload, signal) {
      try {
        await call(`looking at the upload of ${placeOf(bucket, upload.key)}`, signal, (o) =>
          client.send(new ListPartsCommand({ ...named(Bucket, upload), MaxParts: 1 }), o),
        );
        return true;
      } catch (thrown) {
        if (isNotFound(thrown)) return false;
        signal?.throwIfAborted();
        return undefined;
      }
    },

    async listUploads(prefix, signal) {
      const uploads: OpenUpload[] = [];
      try {
        let marker: UploadMarker | undefined = {};
        while (marker !== undefined) {
          const page: UploadMarker = marker;
          const answer: ListMultipartUploadsCommandOutput = await call(
            `listing the uploads of ${placeOf(bucket, prefix)}`,
            signal,
            (o) => client.send(new ListMultipartUploadsCommand({ Bucket, Prefix: prefix, ...page }), o),
          );
          for (const { Key, UploadId } of answer.Uploads ?? []) {
            if (Key?.startsWith(prefix) && UploadId !== undefined) uploads.push({ key: Key, uploadId: UploadId });
          }
          const { NextKeyMarker, NextUploadIdMarker } = answer;
          // A store that says that there is more, and not where, would be asked for ever.
          marker =
            answer.IsTruncated !== true || NextKeyMarker === undefined
              ? undefined
              : {
                  KeyMarker: NextKeyMarker,
                  ...(NextUploadIdMarker === undefined ? {} : { UploadIdMarker: NextUploadIdMarker }),
                };
        }
        return uploads;
      } catch {
        signal?.throwIfAborted();
        return undefined;
      }
    },
  };
}

/** An object's place in words. */
export function placeOf(bucket: string, key: string): string {
  return `s3://${bucket}/${key}`;
}

function isAmazon(endpoint: string | undefined): boolean {
  return endpoint === undefined || /\.amazonaws\.com(\.cn)?$/.test(new URL(endpoint).hostname);
}

function described({ contentType, metadata }: ObjectDescription) {
  return { ContentType: contentType, Metadata: { ...metadata } };
}

/** One checksum of the whole object, which the store computes out of those of the parts. */
const FULL_OBJECT = { ChecksumAlgorithm: 'CRC32', ChecksumType: 'FULL_OBJECT' } as const;

function wholeOf({ sizeBytes, crc32 }: WholeObject) {
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32 >>> 0);
  return { ChecksumCRC32: sum.toString('base64'), ChecksumType: 'FULL_OBJECT', MpuObjectSize: sizeBytes } as const;
}

const DAY_MS = 24 * 60 * 60 * 1_000;

function encryptedAs({ encryption, kmsKeyId }: Keeping = {}) {
  return {
    ...(encryption === undefined ? {} : { ServerSideEncryption: encryption }),
    ...(kmsKeyId === undefined ? {} : { SSEKMSKeyId: kmsKeyId }),
  };
}

function keptAs(keeping: Keeping = {}, now: Date) {
  const { storageClass, lock } = keeping;
  return {
    ...encryptedAs(keeping),
    ...(storageClass === undefined ? {} : { StorageClass: storageClass as StorageClass }),
    ...(lock === undefined
      ? {}
      : { ObjectLockMode: lock.mode, ObjectLockRetainUntilDate: new Date(now.getTime() + lock.days * DAY_MS) }),
  };
}

function taggedAs({ tags }: ObjectDescription) {
  return tags === undefined ? {} : { Tagging: new URLSearchParams(tags).toString() };
}

function named(bucket: string, { key, uploadId }: OpenUpload) {
  return { Bucket: bucket, Key: key, UploadId: uploadId };
}

function partOf({ number, etag, checksums }: UploadedPart) {
  return { PartNumber: number, ETag: etag, ...checksums };
}
