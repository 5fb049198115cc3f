import * as core from '@actions/core';
import { type ActionContext, logTenant, printable, publishRun, Stores } from '@neon-fleet/shared/actions';
import { type Manifest, readVerification, type Verification, writeVerification } from '@neon-fleet/shared/backups';
import { explain } from '@neon-fleet/shared/errors';
import { workThroughTenants, type Tenant, type TenantResult } from '@neon-fleet/shared/fleet';
import { openClientFinder } from '@neon-fleet/shared/postgres';
import type { ObjectStore } from '@neon-fleet/shared/s3';

import { tellDrills } from '../catalog/tell.js';
import { archive } from '../storage/archive.js';
import { ageWords } from '../words/ages.js';
import { findAnywhere } from '../storage/find-anywhere.js';
import type { VerifyValues } from '../inputs.js';
import { notesOf, tenantOfManifest, tenantOfStored } from '../storage/inventory.js';
import { originOf } from '../words/origin.js';
import { openPlaces } from '../verify/places.js';
import { choosePlaced, type PlacedDatabase } from '../storage/placed.js';
import { fleetOf } from './discover.js';
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
  const onNote = (line: string) => core.info(printable(line));
  const chosen = await chooseBackups(values, { signal, onNote });
  await using places = await openPlaces(values, context, onNote);
  const surroundings = {
    clients: openClientFinder({ env, signal, onNote }),
    env,
    place: places.place,
    signal,
  };
  const drills: { manifest: Manifest; verification: Verification }[] = [];
  const outcomes = await workThroughTenants({
    tenants: chosen,
    concurrency: values.concurrency,
    signal,
    onOutcome: logTenant,
    work: async (candidate) => {
      const { store } = candidate;
      const dueInMs = await notDueFor(candidate, values.verifyEvery, context.startedAt, signal);
      if (dueInMs !== undefined) {
        return { status: 'unchanged', reason: 'not-due', detail: `its last drill passed ${ageWords(dueInMs)} ago` };
      }
      const onVerification = (manifest: Manifest, verification: Verification) => {
        drills.push({ manifest, verification });
      };
      const { runUrl } = originOf(env);
      return drill({ ...surroundings, store }, store, candidate.manifest, values.verify, runUrl, onVerification);
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
  await tellDrills(drills, values, context);
}

/** A backup to prove, as the engine takes it. */
interface Candidate extends Tenant {
  readonly manifest: Manifest | undefined;
  /** Undefined for a backup that was named by its key. */
  readonly stored: PlacedDatabase | undefined;
  readonly store: ObjectStore;
}

interface Looking {
  readonly signal: AbortSignal;
  readonly onNote: (line: string) => void;
}

async function chooseBackups(values: VerifyValues, looking: Looking): Promise<Candidate[]> {
  const stores = new Stores(values, process.env);
  const fleet = await fleetOf(values);
  if (values.backup !== undefined && values.backup !== 'latest') {
    const { manifest, store } = await findAnywhere(stores, values, fleet, { key: values.backup }, looking);
    return [{ ...tenantOfManifest(manifest), manifest, stored: undefined, store }];
  }
  const chosen = await choosePlaced(stores, values, fleet, looking);
  return chosen.map((stored) => ({
    ...tenantOfStored(stored),
    manifest: stored.newest,
    stored,
    store: stored.store,
  }));
}

/** How long ago the last good drill of a tenant was, when that is not long enough ago. */
async function notDueFor(
  { stored, store }: Pick<Candidate, 'stored' | 'store'>,
  everyMs: number | undefined,
  now: Date,
  signal: AbortSignal,
): Promise<number | undefined> {
  if (everyMs === undefined || stored === undefined) return undefined;
  for (const { objectKey } of notesOf(stored, stored.place.prefix, 'verification')) {
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
  onVerification: (manifest: Manifest, verification: Verification) => void = () => undefined,
): Promise<TenantResult> {
  if (manifest === undefined) throw new Error('none of its backups has a manifest that can be read');
  const { signal } = surroundings;
  const record = async (outcome: Verification['outcome'], { detail, server }: Proof) => {
    const verification: Verification = {
      schemaVersion: 1,
      key: manifest.key,
      method,
      outcome,
      at: new Date().toISOString(),
      detail,
      ...(server === undefined ? {} : { server }),
      ...(runUrl === undefined ? {} : { runUrl }),
    };
    await writeVerification(store, verification, signal);
    onVerification(manifest, verification);
  };
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
