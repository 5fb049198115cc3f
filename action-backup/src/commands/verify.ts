import * as core from '@actions/core';
import { type ActionContext, logTenant, printable, publishRun, Stores } from '@neon-fleet/shared/actions';
import {
  type Manifest,
  parseKey,
  readVerification,
  type Verification,
  writeVerification,
} from '@neon-fleet/shared/backups';
import { explain } from '@neon-fleet/shared/errors';
import { workThroughTenants, type Tenant, type TenantResult } from '@neon-fleet/shared/fleet';
import { openClientFinder } from '@neon-fleet/shared/postgres';
import { S3Error, type ObjectStore } from '@neon-fleet/shared/s3';

import { tellDrills } from '../catalog/tell.js';
import { archive } from '../storage/archive.js';
import { ageWords } from '../words/ages.js';
import { findAnywhere } from '../storage/find-anywhere.js';
import type { VerifyValues } from '../inputs.js';
import { selectStored, tenantOfStored, type NamedDatabase } from '../storage/inventory.js';
import { originOf } from '../words/origin.js';
import { startScratchServer, type ScratchServer } from '../verify/scratch-server.js';
import { readPlaces, whereWords } from '../storage/placed.js';
import { fleetOf } from './discover.js';
import { CannotTry, verifyChecksum, verifyRestore, type Proof, type VerifySurroundings } from '../verify/verify.js';

/** `command: verify`: proves that backups are what was stored, and that they restore. It needs S3 only. */
export async function verifyCommand(values: VerifyValues, context: ActionContext): Promise<void> {
  const { signal } = context.stop;
  const { env } = process;
  const onNote = (line: string) => core.info(printable(line));
  const chosen = await chooseBackups(values, { signal, onNote });
  const servers = new ServersOnDemand((major) => startScratchServer({ major, env, signal, onNote }));
  const surroundings = {
    clients: openClientFinder({ env, signal, onNote }),
    env,
    server: (major: number) => servers.get(major),
    signal,
  };
  const drills: { manifest: Manifest; verification: Verification }[] = [];
  try {
    const outcomes = await workThroughTenants({
      tenants: chosen,
      concurrency: values.concurrency,
      signal,
      onOutcome: logTenant,
      work: async (candidate) => {
        const { store, prefix } = candidate;
        const dueInMs = await notDueFor(store, prefix, candidate, values.verifyEvery, context.startedAt, signal);
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
  } finally {
    await servers.stop();
  }
}

/** A backup to prove, as the engine takes it. */
interface Candidate extends Tenant {
  readonly manifest: Manifest | undefined;
  readonly stored: NamedDatabase | undefined;
  readonly store: ObjectStore;
  readonly prefix: string;
}

interface Looking {
  readonly signal: AbortSignal;
  readonly onNote: (line: string) => void;
}

async function chooseBackups(values: VerifyValues, looking: Looking): Promise<Candidate[]> {
  const stores = new Stores(values, process.env);
  const fleet = await fleetOf(values);
  if (values.backup !== undefined && values.backup !== 'latest') {
    const { manifest, store, prefix } = await findAnywhere(stores, values, fleet, { key: values.backup }, looking);
    const { projectId, name, database, role } = manifest;
    const assumed = { database: false, role: false };
    return [
      { key: name, projectId, name, database, role, assumed, labels: {}, manifest, stored: undefined, store, prefix },
    ];
  }
  const { databases } = await readPlaces(stores, values, fleet, looking);
  const selection = { tenants: values.tenants ?? ['*'], database: values.database };
  return selectStored(databases, selection, whereWords(values, fleet)).map((stored) => ({
    ...tenantOfStored(stored),
    manifest: stored.newest,
    stored,
    store: stored.store,
    prefix: stored.place.prefix,
  }));
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
    if (!(thrown instanceof S3Error || thrown instanceof CannotTry)) {
      await record('failed', { detail: explain(thrown).message });
    }
    throw thrown;
  }
  await record('passed', proof);
  return { status: 'succeeded', detail: `${manifest.key}: ${proof.detail}` };
}

/** One server for each major version, started when it is first needed. */
class ServersOnDemand {
  readonly #servers = new Map<number, Promise<ScratchServer>>();

  constructor(private readonly start: (major: number) => Promise<ScratchServer>) {}

  get(major: number): Promise<ScratchServer> {
    const there = this.#servers.get(major);
    if (there !== undefined) return there;
    const starting = this.start(major).catch((thrown: unknown) => {
      throw cannotStart(thrown);
    });
    this.#servers.set(major, starting);
    return starting;
  }

  async stop(): Promise<void> {
    await Promise.all(
      [...this.#servers.values()].map((server) => server.then((each) => each.stop()).catch(() => undefined)),
    );
  }
}

function cannotStart(thrown: unknown): CannotTry {
  return new CannotTry(explain(thrown), { cause: thrown });
}
