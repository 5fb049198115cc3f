/** An object that the store holds. */
export interface ListedObject {
  readonly key: string;
  readonly sizeBytes: number;
}

/** What a store says about one object without giving it. */
export interface ObjectHead {
  readonly sizeBytes: number;
  readonly etag?: string;
  readonly metadata: Readonly<Record<string, string>>;
}

/** What to write, besides the bytes. */
export interface ObjectDescription {
  readonly key: string;
  readonly contentType: string;
  /** Kept with the object; keys in lower case, values in ASCII. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Tags of the object, where the store knows them. */
  readonly tags?: Readonly<Record<string, string>>;
}

/** A multipart upload that was begun. It costs money until it is completed or aborted. */
export interface OpenUpload {
  readonly key: string;
  readonly uploadId: string;
}

export interface BegunUpload extends OpenUpload {
  /** An answer was lost on the way, so that the store may hold another upload of this key that nobody knows. */
  readonly mayHaveStrays: boolean;
}

export interface UploadedPart {
  readonly number: number;
  readonly etag: string;
  /** Checksum by name (`ChecksumCRC32`), when the store gave one. */
  readonly checksums: Readonly<Record<string, string>>;
}

/** What a multipart upload must come to as one object, so that the store refuses anything else. */
export interface WholeObject {
  readonly sizeBytes: number;
  /** CRC-32 of all of it. */
  readonly crc32: number;
}

/** A key that the store would not delete. */
export interface DeleteRefusal {
  readonly key: string;
  readonly why: string;
}

/** A part of an object, both ends included. */
export interface ByteRange {
  readonly first: number;
  readonly last: number;
}

/**
 * The port to one bucket. Every method throws an `S3Error`, or the reason of the signal it was given; requests that may be
 * repeated have been, before they fail.
 */
export interface ObjectStore {
  readonly bucket: string;
  /** Writes an object in one request, and never over another where the store knows conditional writes. */
  put(object: ObjectDescription, body: Buffer, signal?: AbortSignal): Promise<void>;
  /** Writes an object in one request, in the place of an earlier one when there is one. */
  replace(object: ObjectDescription, body: Buffer, signal?: AbortSignal): Promise<void>;
  /** Undefined when there is no such object. */
  head(key: string, signal?: AbortSignal): Promise<ObjectHead | undefined>;
  get(key: string, signal?: AbortSignal): Promise<Buffer>;
  /** Reads a part of an object, provided that it is still the one with this ETag. */
  getRange(key: string, range: ByteRange, etag: string | undefined, signal?: AbortSignal): Promise<Buffer>;
  /** All objects whose keys begin so, in the order of their keys, a page at a time. */
  list(prefix: string, options?: { signal?: AbortSignal; limit?: number }): AsyncIterable<readonly ListedObject[]>;
  /** Deletes objects; what is not there counts as deleted. */
  delete(keys: readonly string[], signal?: AbortSignal): Promise<DeleteRefusal[]>;
  beginUpload(object: ObjectDescription, signal?: AbortSignal): Promise<BegunUpload>;
  uploadPart(upload: OpenUpload, number: number, body: Buffer, signal?: AbortSignal): Promise<UploadedPart>;
  /** Never over another object, where the store knows conditional writes. */
  completeUpload(
    upload: OpenUpload,
    parts: readonly UploadedPart[],
    signal?: AbortSignal,
    whole?: WholeObject,
  ): Promise<void>;
  /** Returns when the upload is gone; that it was gone already is no failure. */
  abortUpload(upload: OpenUpload, signal?: AbortSignal): Promise<void>;
  /** Whether an upload still exists; undefined when the store cannot say. */
  uploadExists(upload: OpenUpload, signal?: AbortSignal): Promise<boolean | undefined>;
  /** Uploads that are not finished, of all keys that begin so; undefined when the store cannot say. */
  listUploads(prefix: string, signal?: AbortSignal): Promise<OpenUpload[] | undefined>;
}
