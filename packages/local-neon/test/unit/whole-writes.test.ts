import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { answerWhenWritten } from '../../src/s3/whole-writes.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'whole-writes-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

/** A store that answers before anything is written, as s3rver's may; `write` is what it does then, in its own time. */
function storeThat(write: (file: string) => Promise<void>) {
  let done: Promise<void> = Promise.resolve();
  const later = (file: string) => {
    done = new Promise((resolve) => setTimeout(resolve, 30)).then(() => write(file));
    return Promise.resolve({ size: 5, md5: '' });
  };
  const getResourcePath = (bucket: string, key: string | undefined, what: string) =>
    path.join(folder, bucket, key ?? '', what);
  const store = {
    getResourcePath,
    putObject: ({ bucket, key }: { bucket: string; key: string }) => later(getResourcePath(bucket, key, 'object')),
    putPart: (bucket: string, id: string, part: number) =>
      later(path.join(getResourcePath(bucket, undefined, 'uploads'), id, String(part))),
  };
  answerWhenWritten(store);
  return { store, done: () => done };
}

describe('a store that answers when it has written', () => {
  test('has all of an object', async () => {
    const file = path.join(folder, 'b', 'k', 'object');
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, 'of');
    const { store } = storeThat((place) => writeFile(place, 'whole'));
    await expect(store.putObject({ bucket: 'b', key: 'k' })).resolves.toMatchObject({ size: 5 });
    expect(await readFile(file, 'utf8')).toBe('whole');
  });

  test('has all of a part', async () => {
    const file = path.join(folder, 'b', 'uploads', 'id', '1');
    await mkdir(path.dirname(file), { recursive: true });
    const { store } = storeThat((place) => writeFile(place, 'whole'));
    await store.putPart('b', 'id', 1);
    expect(await readFile(file, 'utf8')).toBe('whole');
  });

  test('does not wait for a part whose upload was aborted', async () => {
    const { store, done } = storeThat(() => Promise.resolve());
    await expect(store.putPart('b', 'aborted', 1)).resolves.toMatchObject({ size: 5 });
    await done();
  });
});
