import { manifestKey, renderManifest, type Manifest } from '@neon-fleet/shared/backups';
import { explain, ExplainedError } from '@neon-fleet/shared/errors';
import { abortedLater, type ObjectStore } from '@neon-fleet/shared/s3';

const COMMIT_GRACE_MS = 1_500;
const LOOK_TIMEOUT_MS = 5_000;

/**
 * Makes a stored dump a backup by writing its manifest. When that fails the dump is taken away again, so that nothing
 * stays that is not a backup.
 *
 * @throws S3Error.
 */
export async function commitBackup(store: ObjectStore, manifest: Manifest, signal: AbortSignal): Promise<void> {
  const key = manifestKey(manifest.key);
  const body = renderManifest(manifest);
  // The dump is whole and stored: a run that is told to stop now still finishes this one request.
  const later = abortedLater(signal, COMMIT_GRACE_MS);
  try {
    await store.put({ key, contentType: 'application/json', metadata: {} }, body, later.signal);
  } catch (thrown) {
    if (await isThere(store, key, body)) return;
    throw await withdrawn(store, manifest.key, thrown);
  } finally {
    later.dispose();
  }
}

/** The answer to a request that was carried out can be lost. */
async function isThere(store: ObjectStore, key: string, body: Buffer): Promise<boolean> {
  try {
    return (await store.get(key, AbortSignal.timeout(LOOK_TIMEOUT_MS))).equals(body);
  } catch {
    return false;
  }
}

async function withdrawn(store: ObjectStore, key: string, cause: unknown): Promise<ExplainedError> {
  const { message, code, hint } = explain(cause);
  const signal = AbortSignal.timeout(LOOK_TIMEOUT_MS);
  // The manifest first: at no moment may one point at an object that is not there.
  const left = await store
    .delete([manifestKey(key)], signal)
    .then(() => store.delete([key], signal))
    .then((refusals) => refusals.length > 0)
    .catch(() => true);
  return new ExplainedError(
    {
      message: `the manifest could not be written, so that there is no backup: ${message}${left ? `; its dump ${key} was left in the bucket and does not count` : ''}`,
      ...(code === undefined ? {} : { code }),
      ...(hint === undefined ? {} : { hint }),
    },
    { cause },
  );
}
