import * as core from '@actions/core';
import { logTenant, printable, publishRun, type ActionContext } from '@neon-fleet/shared/actions';
import { explain } from '@neon-fleet/shared/errors';
import { workThroughTenants, type Tenant, type TenantResult } from '@neon-fleet/shared/fleet';
import { openClientFinder } from '@neon-fleet/shared/postgres';
import type { ObjectStore } from '@neon-fleet/shared/s3';

import { archive } from '../storage/archive.js';
import { ageWords } from '../words/ages.js';
import { findBackup } from '../storage/find-backup.js';
import type { VerifyValues } from '../inputs.js';
import { readInventory, selectStored, tenantOfStored, type NamedDatabase } from '../storage/inventory.js';
import { normalisePrefix, parseKey } from '../storage/keys.js';
import type { Manifest } from '../storage/manifest.js';
import { readVerification, writeVerification, type Verification } from '../storage/notes.js';
import { originOf } from '../words/origin.js';
import { openPlaces } from '../verify/places.js';
import { openStorage } from '../storage/storage.js';
import {
  isAboutTheBackup,
  verifyChecksum,
  verifyRestore,
  type Proof,
  type VerifySurroundings,
} from '../verify/verify.js';

/** `command: verify`: proves that backups are what was stored, and that they restore. It needs S3 only. */
export async function verifyCommand(values: VerifyValues, context: ActionContext): Promise<void> {
  const { signal } = context.stop;
  const { env } = process;
  const prefix = normalisePrefix(values.s3Prefix);
  const store = openStorage(values, env);
  const onNote = (line: string) => core.info(printable(line));
  const chosen = await chooseBackups(store, values, { prefix, signal, onNote });
  await using places = await openPlaces(values, context, onNote);
  const surroundings = {
    store,
    clients: openClientFinder({ env, signal, onNote }),
    env,
    place: places.place,
    signal,
  };
  const outcomes = await workThroughTenants({
    tenants: chosen,
    concurrency: values.concurrency,
    signal,
    onOutcome: logTenant,
    work: async (candidate) => {
      const dueInMs = await notDueFor(store, prefix, candidate, values.verifyEvery, context.startedAt, signal);
      if (dueInMs !== undefined) {
        return { status: 'unchanged', reason: 'not-due', detail: `its last drill passed ${ageWords(dueInMs)} ago` };
      }
      return drill(surroundings, store, candidate.manifest, values.verify, originOf(env).runUrl);
    },
  });
  const report = await publishRun({
    action: 'backup',
    command: 'verify',
    startedAt: context.startedAt,
    outcomes,
    allowSkipped: values.allowSkipped,
  });
  await archive(values, report);
}

/** A backup to prove, as the engine takes it. */
interface Candidate extends Tenant {
  readonly manifest: Manifest | undefined;
  readonly stored: NamedDatabase | undefined;
}

interface Place {
  readonly prefix: string;
  readonly signal: AbortSignal;
  readonly onNote: (line: string) => void;
}

async function chooseBackups(store: ObjectStore, values: VerifyValues, place: Place): Promise<Candidate[]> {
  if (values.backup !== undefined && values.backup !== 'latest') {
    const manifest = await findBackup(store, { key: values.backup }, place);
    const { projectId, name, database, role } = manifest;
    const assumed = { database: false, role: false };
    return [{ key: name, projectId, name, database, role, assumed, labels: {}, manifest, stored: undefined }];
  }
  const inventory = await readInventory(store, place);
  const chosen = selectStored(
    inventory,
    { tenants: values.tenants ?? ['*'], database: values.database },
    { bucket: store.bucket, prefix: place.prefix },
  );
  return chosen.map((stored) => ({ ...tenantOfStored(stored), manifest: stored.newest, stored }));
}

/** How long ago the last good drill of a tenant was, when that is not long enough ago. */
export async function notDueFor(
  store: Pick<ObjectStore, 'get'>,
  prefix: string,
  { stored }: Pick<Candidate, 'stored'>,
  everyMs: number | undefined,
  now: Date,
  signal: AbortSignal,
): Promise<number | undefined> {
  if (everyMs === undefined || stored === undefined) return undefined;
  const drilled = stored.objects
    .flatMap(({ key }) => parseKey(prefix, key) ?? [])
    .filter(({ kind }) => kind === 'verification')
    .toSorted((a, b) => (a.timestamp < b.timestamp ? 1 : -1));
  for (const { objectKey } of drilled) {
    const last = await readVerification(store, objectKey, signal);
    if (last === undefined) continue;
    const ageMs = now.getTime() - new Date(last.at).getTime();
    // One that failed is tried again at once.
    return last.outcome === 'passed' && ageMs < everyMs ? ageMs : undefined;
  }
  return undefined;
}

/**
 * Holds the drill of one backup and writes down how it ended. A drill that could not be held says nothing.
 *
 * @throws ExplainedError with what is wrong about the backup.
 */
export async function drill(
  surroundings: VerifySurroundings,
  store: Pick<ObjectStore, 'replace'>,
  manifest: Manifest | undefined,
  method: Verification['method'],
  runUrl: string | undefined,
): Promise<TenantResult> {
  if (manifest === undefined) throw new Error('none of its backups has a manifest that can be read');
  const { signal } = surroundings;
  const record = (outcome: Verification['outcome'], { detail, server }: Proof) =>
    writeVerification(
      store,
      {
        schemaVersion: 1,
        key: manifest.key,
        method,
        outcome,
        at: new Date().toISOString(),
        detail,
        ...(server === undefined ? {} : { server }),
        ...(runUrl === undefined ? {} : { runUrl }),
      },
      signal,
    );
  let proof: Proof;
  try {
    proof = await (method === 'checksum' ? verifyChecksum : verifyRestore)(surroundings, manifest);
  } catch (thrown) {
    signal.throwIfAborted();
    if (isAboutTheBackup(thrown)) await record('failed', { detail: explain(thrown).message });
    throw thrown;
  }
  await record('passed', proof);
  return { status: 'succeeded', detail: `${manifest.key}: ${proof.detail}` };
}
