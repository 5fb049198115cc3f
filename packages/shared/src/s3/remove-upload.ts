import { setTimeout as delay } from 'node:timers/promises';

import { explain } from '../errors/index.js';
import { isNotImplemented } from './errors.js';
import type { ObjectStore, OpenUpload } from './store.js';

const PATIENCE_MS = 15_000;
/** After a cancellation a run has 5 s in all. */
const HURRY_MS = 2_200;
const ATTEMPT_TIMEOUT_MS = 5_000;
const FIRST_PAUSE_MS = 100;

type Uploads = Pick<ObjectStore, 'abortUpload' | 'uploadExists' | 'listUploads'>;

/**
 * Removes an upload and makes sure that it is gone: a part that was on its way can arrive after the abort, and then the
 * upload has to be aborted once more.
 *
 * @returns undefined, or in words what is left in the store. It never throws: it runs where another error is on its way.
 */
export async function removeUpload(store: Uploads, upload: OpenUpload, inAHurry: boolean): Promise<string | undefined> {
  const deadline = performance.now() + (inAHurry ? HURRY_MS : PATIENCE_MS);
  let why = 'the store still shows it';
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs *= 2) {
    const leftMs = deadline - performance.now();
    const signal = AbortSignal.timeout(Math.max(1, Math.ceil(Math.min(ATTEMPT_TIMEOUT_MS, leftMs))));
    try {
      await store.abortUpload(upload, signal);
      if ((await store.uploadExists(upload, signal)) !== true) return undefined;
    } catch (thrown) {
      why = explain(thrown).message;
      if (isNotImplemented(thrown)) return remains(upload, why);
    }
    if (deadline - performance.now() <= pauseMs) {
      return remains(upload, why);
    }
    await delay(pauseMs);
  }
}

function remains({ uploadId }: OpenUpload, why: string): string {
  return `its unfinished upload ${uploadId} could not be removed (${why})`;
}

/** Removes uploads of our key whose ids were lost together with the answers that held them. Best effort; never throws. */
export async function removeStrays(store: Uploads, key: string): Promise<void> {
  const signal = AbortSignal.timeout(HURRY_MS);
  try {
    const strays = ((await store.listUploads(key, signal)) ?? []).filter((upload) => upload.key === key);
    for (const stray of strays) await store.abortUpload(stray, signal);
  } catch {
    // What is left is what the recommended lifecycle rule is for.
  }
}
