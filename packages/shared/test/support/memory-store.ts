import { S3Error, type ListedObject, type ObjectStore } from '../../src/s3/index.js';

/** What a test may make of a request: fail it before it is carried out, or lose its answer afterwards. */
export type Mishap = 'fail' | 'lose-answer' | undefined;

/** A bucket in memory that keeps the port's promises, and breaks down where a test says so. */
export class MemoryStore implements ObjectStore {
  readonly bucket = 'bucket';
  readonly objects = new Map<string, { body: Buffer; metadata: Readonly<Record<string, string>> }>();
  readonly uploads = new Map<
    string,
    { key: string; metadata: Readonly<Record<string, string>>; parts: Map<number, Buffer> }
  >();
  /** The names of the requests, in their order. */
  readonly requests: string[] = [];
  /** Asked before every request; the count is that of requests of this name so far. */
  mishap: (name: keyof ObjectStore, count: number, key: string) => Mishap = () => undefined;

  readonly #counts = new Map<string, number>();

  async #carryOut<T>(name: keyof ObjectStore, key: string, signal: AbortSignal | undefined, work: () => T): Promise<T> {
    await Promise.resolve();
    signal?.throwIfAborted();
    this.requests.push(name);
    const count = (this.#counts.get(name) ?? 0) + 1;
    this.#counts.set(name, count);
    const mishap = this.mishap(name, count, key);
    if (mishap === 'fail') throw failure(500, 'InternalError', name);
    const result = work();
    if (mishap === 'lose-answer') throw failure(undefined, 'TimeoutError', name);
    return result;
  }

  put: ObjectStore['put'] = ({ key, metadata }, body, signal) =>
    this.#carryOut('put', key, signal, () => {
      if (this.objects.has(key)) throw failure(412, 'PreconditionFailed', 'put');
      this.objects.set(key, { body, metadata });
    });

  replace: ObjectStore['replace'] = ({ key, metadata }, body, signal) =>
    this.#carryOut('replace', key, signal, () => void this.objects.set(key, { body, metadata }));

  head: ObjectStore['head'] = (key, signal) =>
    this.#carryOut('head', key, signal, () => {
      const found = this.objects.get(key);
      return found === undefined ? undefined : { sizeBytes: found.body.length, metadata: found.metadata };
    });

  get: ObjectStore['get'] = (key, signal) => this.#carryOut('get', key, signal, () => this.#existing(key));

  getRange: ObjectStore['getRange'] = (key, { first, last }, _etag, signal) =>
    this.#carryOut('getRange', key, signal, () => this.#existing(key).subarray(first, last + 1));

  async *list(prefix: string, { signal }: { signal?: AbortSignal } = {}): AsyncIterable<readonly ListedObject[]> {
    yield await this.#carryOut('list', prefix, signal, () =>
      [...this.objects]
        .filter(([key]) => key.startsWith(prefix))
        .map(([key, { body }]) => ({ key, sizeBytes: body.length })),
    );
  }

  delete: ObjectStore['delete'] = (keys, signal) =>
    this.#carryOut('delete', keys.join(' '), signal, () => {
      for (const key of keys) this.objects.delete(key);
      return [];
    });

  beginUpload: ObjectStore['beginUpload'] = ({ key, metadata }, signal) =>
    this.#carryOut('beginUpload', key, signal, () => {
      const uploadId = `upload-${this.uploads.size + 1}`;
      this.uploads.set(uploadId, { key, metadata, parts: new Map() });
      return { key, uploadId, mayHaveStrays: false };
    });

  uploadPart: ObjectStore['uploadPart'] = ({ uploadId, key }, number, body, signal) =>
    this.#carryOut('uploadPart', key, signal, () => {
      this.#upload(uploadId).parts.set(number, Buffer.from(body));
      return { number, etag: String(number), checksums: {} };
    });

  completeUpload: ObjectStore['completeUpload'] = ({ uploadId, key }, parts, signal) =>
    this.#carryOut('completeUpload', key, signal, () => {
      const { metadata, parts: held } = this.#upload(uploadId);
      if (this.objects.has(key)) throw failure(412, 'PreconditionFailed', 'completeUpload');
      const body = Buffer.concat(parts.map(({ number }) => held.get(number) ?? Buffer.alloc(0)));
      this.objects.set(key, { body, metadata });
      this.uploads.delete(uploadId);
    });

  abortUpload: ObjectStore['abortUpload'] = ({ uploadId, key }, signal) =>
    this.#carryOut('abortUpload', key, signal, () => void this.uploads.delete(uploadId));

  uploadExists: ObjectStore['uploadExists'] = ({ uploadId, key }, signal) =>
    this.#carryOut('uploadExists', key, signal, () => this.uploads.has(uploadId));

  listUploads: ObjectStore['listUploads'] = (prefix, signal) =>
    this.#carryOut('listUploads', prefix, signal, () =>
      [...this.uploads]
        .filter(([, { key }]) => key.startsWith(prefix))
        .map(([uploadId, { key }]) => ({ key, uploadId })),
    );

  #existing(key: string): Buffer {
    const found = this.objects.get(key);
    if (found === undefined) throw failure(404, 'NoSuchKey', 'get');
    return found.body;
  }

  #upload(uploadId: string) {
    const upload = this.uploads.get(uploadId);
    if (upload === undefined) throw failure(404, 'NoSuchUpload', 'upload');
    return upload;
  }
}

function failure(status: number | undefined, reason: string, doing: string): S3Error {
  return new S3Error({ message: reason, reason, ...(status === undefined ? {} : { status }) }, doing);
}
