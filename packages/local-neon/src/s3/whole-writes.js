import { stat } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const LOOK_AGAIN_AFTER_MS = 2;
/** Somebody else may be writing the same object. */
const PATIENCE_MS = 5_000;

/**
 * s3rver answers when it has read a body, and the file may not be written by then: a look at the object just after, or an
 * object put together from parts, would be short. S3 answers when it has all of it, so the store is made to wait.
 *
 * @param store the store of s3rver
 */
export function answerWhenWritten(store) {
  const { putObject, putPart } = store;
  store.putObject = async (object) => {
    const written = await putObject.call(store, object);
    await hasSize(store.getResourcePath(object.bucket, object.key, 'object'), written.size);
    return written;
  };
  store.putPart = async (bucket, uploadId, partNumber, content) => {
    const written = await putPart.call(store, bucket, uploadId, partNumber, content);
    const uploads = store.getResourcePath(bucket, undefined, 'uploads');
    await hasSize(path.join(uploads, uploadId, String(partNumber)), written.size);
    return written;
  };
}

async function hasSize(file, size) {
  const deadline = performance.now() + PATIENCE_MS;
  while (performance.now() < deadline) {
    const found = await stat(file).catch(() => undefined);
    if (found?.size === size) return;
    // An upload that was aborted takes its parts with it.
    if (found === undefined && !(await isThere(path.dirname(file)))) return;
    await delay(LOOK_AGAIN_AFTER_MS);
  }
}

const isThere = (place) =>
  stat(place).then(
    () => true,
    () => false,
  );
