import { describe, expect, test } from '@jest/globals';

import { uploadStream, type StreamUpload } from '../../src/s3/index.js';
import { StoppedError } from '../../src/fleet/index.js';
import { MemoryStore, type Mishap } from '../support/memory-store.js';

const PART = 10;
const KEY = 'acme/neondb/dump.sql.gz';

function upload(overrides: Partial<StreamUpload> = {}): StreamUpload {
  return {
    key: KEY,
    contentType: 'application/gzip',
    metadata: {},
    partSizeBytes: PART,
    partsInFlight: 2,
    signal: new AbortController().signal,
    source: () => bytes(35),
    ...overrides,
  };
}

async function* bytes(count: number): AsyncGenerator<Buffer> {
  for (let sent = 0; sent < count; sent += 1) yield await Promise.resolve(Buffer.from([sent]));
}

function failOn(name: string, on: (count: number) => boolean = () => true, how: Mishap = 'fail') {
  return (request: string, count: number) => (request === name && on(count) ? how : undefined);
}

function stored(store: MemoryStore): number[] {
  return [...(store.objects.get(KEY)?.body ?? [])];
}

describe('uploadStream', () => {
  test.each([1, 9, 10, 11, 20, 35])('stores %i bytes as they came', async (count) => {
    const store = new MemoryStore();
    const result = await uploadStream(store, upload({ source: () => bytes(count) }));
    expect(stored(store)).toEqual(Array.from({ length: count }, (_, index) => index));
    expect(result).toEqual({ sizeBytes: count, parts: Math.max(1, Math.ceil(count / PART)) });
    expect(store.uploads.size).toBe(0);
  });

  test('uses one request for what is not larger than a part', async () => {
    const store = new MemoryStore();
    await uploadStream(store, upload({ source: () => bytes(PART) }));
    expect(store.requests).toEqual(['put', 'head']);
  });

  test.each([0, 5, 10, 25, 35])('stores nothing when the source fails after %i bytes', async (count) => {
    const store = new MemoryStore();
    const source = async function* () {
      yield* bytes(count);
      throw new Error('pg_dump was ended by SIGKILL');
    };
    await expect(uploadStream(store, upload({ source }))).rejects.toThrow('pg_dump was ended by SIGKILL');
    expect(store.objects.size).toBe(0);
    expect(store.uploads.size).toBe(0);
  });

  test.each([
    ['beginUpload', 1],
    ['uploadPart', 1],
    ['uploadPart', 3],
    ['completeUpload', 1],
  ] as const)('leaves nothing behind when %s fails the %ith time', async (name, failing) => {
    const store = new MemoryStore();
    store.mishap = failOn(name, (count) => count === failing);
    await expect(uploadStream(store, upload())).rejects.toThrow(/InternalError/);
    expect(store.objects.size).toBe(0);
    expect(store.uploads.size).toBe(0);
  });

  test('stops a source that is waiting when a part is refused', async () => {
    const store = new MemoryStore();
    store.mishap = failOn('uploadPart');
    const source = async function* (signal: AbortSignal) {
      yield* bytes(25);
      if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve));
      throw new Error('ended by the signal');
    };
    await expect(uploadStream(store, upload({ source }))).rejects.toThrow(/InternalError/);
    expect(store.uploads.size).toBe(0);
  });

  test('tries the abort again when it fails, and returns only when the upload is gone', async () => {
    const store = new MemoryStore();
    store.mishap = (name, count) =>
      name === 'uploadPart' || (name === 'abortUpload' && count <= 2) ? 'fail' : undefined;
    await expect(uploadStream(store, upload())).rejects.toThrow(/InternalError/);
    expect(store.uploads.size).toBe(0);
    expect(store.requests.filter((name) => name === 'abortUpload')).toHaveLength(3);
  });

  test('aborts again when a part arrived after the abort', async () => {
    const store = new MemoryStore();
    store.mishap = failOn('uploadPart');
    const { abortUpload } = store;
    let aborts = 0;
    store.abortUpload = async (opened, signal) => {
      const before = store.uploads.get(opened.uploadId);
      await abortUpload(opened, signal);
      aborts += 1;
      if (aborts === 1 && before !== undefined) store.uploads.set(opened.uploadId, before);
    };
    await expect(uploadStream(store, upload())).rejects.toThrow(/InternalError/);
    expect(aborts).toBe(2);
    expect(store.uploads.size).toBe(0);
  });

  test('names the upload that it could not remove', async () => {
    const store = new MemoryStore();
    const stop = new AbortController();
    store.mishap = (name) => {
      if (name === 'uploadPart') stop.abort(new StoppedError('cancelled'));
      return name === 'abortUpload' ? 'fail' : undefined;
    };
    await expect(uploadStream(store, upload({ signal: stop.signal }))).rejects.toThrow(
      /run was cancelled; besides, its unfinished upload upload-1 could not be removed/,
    );
  });

  test('finds an upload whose beginning was carried out but not answered, and removes it', async () => {
    const store = new MemoryStore();
    store.mishap = failOn('beginUpload', () => true, 'lose-answer');
    await expect(uploadStream(store, upload())).rejects.toThrow(/TimeoutError/);
    expect(store.uploads.size).toBe(0);
  });

  test.each([
    ['completeUpload', 35],
    ['put', 5],
  ] as const)('takes an object for stored whose %s was carried out but not answered', async (name, count) => {
    const store = new MemoryStore();
    store.mishap = failOn(name, () => true, 'lose-answer');
    await expect(uploadStream(store, upload({ source: () => bytes(count) }))).resolves.toMatchObject({
      sizeBytes: count,
    });
    expect(stored(store)).toHaveLength(count);
  });

  test.each([5, 35])('never overwrites an object of the same key (%i bytes)', async (count) => {
    const store = new MemoryStore();
    store.objects.set(KEY, { body: Buffer.from('theirs'), metadata: {} });
    await expect(uploadStream(store, upload({ source: () => bytes(count) }))).rejects.toThrow(/exists already/);
    expect(store.objects.get(KEY)?.body.toString()).toBe('theirs');
    expect(store.uploads.size).toBe(0);
  });

  test('does not believe a store that keeps fewer bytes than it took', async () => {
    const store = new MemoryStore();
    const { completeUpload } = store;
    store.completeUpload = async (opened, parts, signal) => completeUpload(opened, parts.slice(1), signal);
    await expect(uploadStream(store, upload())).rejects.toThrow(/shows 25 bytes instead of 35/);
  });

  test('removes the upload when the run is cancelled in the middle, and throws the reason of the signal', async () => {
    const store = new MemoryStore();
    const stop = new AbortController();
    const source = async function* (signal: AbortSignal) {
      yield* bytes(25);
      stop.abort(new StoppedError('cancelled'));
      await Promise.resolve();
      signal.throwIfAborted();
    };
    await expect(uploadStream(store, upload({ source, signal: stop.signal }))).rejects.toThrow(StoppedError);
    expect(store.objects.size).toBe(0);
    expect(store.uploads.size).toBe(0);
  });

  test('never has more parts on their way than it was told', async () => {
    const store = new MemoryStore();
    const { uploadPart } = store;
    let now = 0;
    let most = 0;
    store.uploadPart = async (...call) => {
      now += 1;
      most = Math.max(most, now);
      await new Promise((resolve) => setImmediate(resolve));
      return uploadPart(...call).finally(() => (now -= 1));
    };
    await uploadStream(store, upload({ source: () => bytes(100), partsInFlight: 3 }));
    expect(most).toBe(3);
  });
});
