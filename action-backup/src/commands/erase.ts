import * as core from '@actions/core';
import { type ActionContext, logTenant, openNeonFor, printable, publishRun, Stores } from '@neon-fleet/shared/actions';
import { instantOf, manifestKey, placeWords } from '@neon-fleet/shared/backups';
import { ExplainedError } from '@neon-fleet/shared/errors';
import { workThroughTenants, type TenantResult } from '@neon-fleet/shared/fleet';
import { placeOf, type ObjectStore } from '@neon-fleet/shared/s3';

import { tellGone } from '../catalog/tell.js';
import { archive } from '../storage/archive.js';
import type { EraseValues } from '../inputs.js';
import { tenantOfStored, type NamedDatabase } from '../storage/inventory.js';
import { originOf } from '../words/origin.js';
import { readPlaces, type PlacedDatabase } from '../storage/placed.js';
import { fleetOf } from './discover.js';
import { sizeWords } from '../words/sizes.js';

/** `command: erase`: removes all backups of one tenant that has left, and leaves a receipt. */
export async function eraseCommand(values: EraseValues, context: ActionContext): Promise<void> {
  const { signal } = context.stop;
  const onNote = (line: string) => core.warning(printable(line));
  const stores = new Stores(values, process.env);
  const { databases, strays } = await readPlaces(stores, values, await fleetOf(values), { signal, onNote });
  // All of them, wherever they lie.
  const chosen = chooseErased([...databases, ...strays], values);
  const { neonApiKey } = values;
  if (neonApiKey !== undefined) {
    const { projects } = await openNeonFor({ ...values, neonApiKey }, context).listProjects(values.confirm);
    if (projects.some(({ projectId }) => projectId === values.confirm)) throw stillThere(values.confirm);
  }
  const [first] = chosen;
  if (first === undefined) throw new Error('nobody was chosen');
  const gone: string[] = [];
  const origin = originOf(process.env);
  const at = context.startedAt;
  const outcomes = await workThroughTenants({
    tenants: [tenantOfStored(first)],
    concurrency: 1,
    signal,
    onOutcome: logTenant,
    work: () => eraseEverywhere(chosen, { at, origin, onGone: (keys) => void gone.push(...keys) }, signal),
  });
  const report = await publishRun({ action: 'backup', command: 'erase', startedAt: context.startedAt, outcomes });
  await archive(values, report);
  const [outcome] = report.outcomes;
  const { projectId } = first;
  const erased = { at: at.toISOString(), action: 'backup', what: 'erased', projectId, ...origin };
  const events =
    outcome?.status === 'succeeded' ? [{ eventKey: `erased/${projectId}/${at.toISOString()}`, ...erased }] : [];
  await tellGone(gone, values, context, events);
}

/**
 * Chooses by id or by the name of the last backup, and only when `confirm` is the id: typing a name wrong must not cost
 * another tenant its backups.
 */
export function chooseErased<T extends NamedDatabase>(
  inventory: readonly T[],
  { tenant, confirm }: Pick<EraseValues, 'tenant' | 'confirm'>,
): T[] {
  const chosen = inventory.filter(({ projectId, name }) => projectId === tenant || name === tenant);
  const ids = [...new Set(chosen.map(({ projectId }) => projectId))].toSorted();
  if (ids.length === 0) {
    throw new ExplainedError({
      message: `there is no backup of a tenant with the id or name ${JSON.stringify(tenant)}; nothing was erased`,
      hint: 'Check tenant, s3-bucket and s3-prefix. Erased twice? The receipt of the first time lies under _erased/.',
    });
  }
  if (ids.length === 1 && ids[0] === confirm) return chosen;
  throw new ExplainedError({
    message: `confirm is ${JSON.stringify(confirm)}, and ${JSON.stringify(tenant)} means ${ids.join(' and ')}; nothing was erased`,
    hint: 'Set confirm to the id of the project whose backups are to be removed for ever.',
  });
}

/** A receipt for each place, in that place. */
async function eraseEverywhere(
  chosen: readonly PlacedDatabase[],
  erasure: Pick<Erasure, 'at' | 'origin' | 'onGone'>,
  signal: AbortSignal,
): Promise<TenantResult> {
  const details: string[] = [];
  for (const where of new Set(chosen.map(({ place }) => placeWords(place)))) {
    const databases = chosen.filter(({ place }) => placeWords(place) === where);
    const [first] = databases;
    if (first === undefined) continue;
    const { detail } = await erase(first.store, { ...erasure, prefix: first.place.prefix, databases }, signal);
    details.push(detail);
  }
  return { status: 'succeeded', detail: details.join('; ') };
}

interface Erasure {
  readonly prefix: string;
  readonly databases: readonly NamedDatabase[];
  readonly at: Date;
  readonly origin: { readonly actor?: string; readonly runUrl?: string };
  /** Told the keys of the backups that are none any more. */
  readonly onGone?: (keys: readonly string[]) => void;
}

/**
 * Erases, manifests first. The receipt is written before and completed after: a run that was killed left one that says
 * `complete: false`, and the next run goes on.
 *
 * @throws ExplainedError when something was refused; the receipt says how many.
 */
export async function erase(
  store: Pick<ObjectStore, 'bucket' | 'delete' | 'replace' | 'listUploads' | 'abortUpload'>,
  { prefix, databases, at, origin, onGone }: Erasure,
  signal: AbortSignal,
): Promise<TenantResult> {
  const [{ projectId, name } = { projectId: '', name: '' }] = databases;
  const objects = databases.flatMap(({ objects: each }) => each);
  const backups = databases.flatMap(({ backups: each }) => each);
  const bytes = objects.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const instants = backups.flatMap(({ timestamp }) => instantOf(timestamp)?.toISOString() ?? []).toSorted();
  const receiptKey = `${prefix}_erased/${projectId}-${at.toISOString().replace(/[-:.]/g, '')}.json`;
  const receipt = (state: { complete: boolean; refused: number }) =>
    store.replace(
      { key: receiptKey, contentType: 'application/json', metadata: {} },
      Buffer.from(
        `${JSON.stringify(
          {
            schemaVersion: 1,
            projectId,
            name,
            databases: databases.map(({ database }) => database),
            backups: backups.length,
            objects: objects.length,
            bytes,
            oldest: instants.at(0),
            newest: instants.at(-1),
            at: at.toISOString(),
            ...origin,
            ...state,
          },
          null,
          2,
        )}\n`,
      ),
      signal,
    );
  await receipt({ complete: false, refused: 0 });
  const manifests = new Set(backups.map(({ objectKey }) => manifestKey(objectKey)));
  const rest = objects.map(({ key }) => key).filter((key) => !manifests.has(key));
  const refused = await store.delete([...manifests], signal);
  const kept = new Set(refused.map(({ key }) => key));
  onGone?.(backups.map(({ objectKey }) => objectKey).filter((key) => !kept.has(manifestKey(key))));
  const refusals = [...refused, ...(await store.delete(rest, signal))];
  for (const upload of (await store.listUploads(`${prefix}${projectId}/`, signal)) ?? []) {
    await store.abortUpload(upload, signal);
  }
  await receipt({ complete: refusals.length === 0, refused: refusals.length });
  const [refusal] = refusals;
  if (refusal !== undefined) {
    throw new ExplainedError({
      message: `${refusals.length} of ${objects.length} objects could not be erased: ${refusal.key}: ${refusal.why}`,
      hint: 'What is under Object Lock can go only when its time is over. On a bucket with versions, older versions stay until a lifecycle rule removes them.',
    });
  }
  return {
    status: 'succeeded',
    detail: `${backups.length} backups, ${objects.length} objects, ${sizeWords(bytes)} erased; receipt ${placeOf(store.bucket, receiptKey)}`,
  };
}

function stillThere(projectId: string): ExplainedError {
  return new ExplainedError({
    message: `the project ${projectId} still exists; nothing was erased`,
    hint: 'erase is for tenants that have left. Delete the project first, or use prune.',
  });
}
