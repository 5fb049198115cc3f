import { randomBytes } from 'node:crypto';
import type { Manifest } from '@neon-fleet/shared/backups';

import { ExplainedError } from '@neon-fleet/shared/errors';
import { waitForOperations, type Branch, type Neon } from '@neon-fleet/shared/neon';
import { parseConnectionUri, type LibpqTrust } from '@neon-fleet/shared/postgres';

import { branchOfTenant } from '../restore/find-project.js';
import { makeDatabase, ownerFor } from '../restore/make-database.js';
import type { DrillPlace, PlaceForDrill } from './drill-place.js';

type Api = Pick<
  Neon,
  | 'getProject'
  | 'listBranches'
  | 'defaultBranch'
  | 'createBranch'
  | 'deleteBranch'
  | 'listDatabases'
  | 'createDatabase'
  | 'connectionUri'
  | 'getOperation'
>;

export interface BranchPlaceOptions {
  /** Obeys the signal of the run. */
  readonly neon: Api;
  /** Does not: what has been made must be removed when the run is told to stop. */
  readonly cleaner: Api;
  readonly trust: Pick<LibpqTrust, 'rootCertificatesFor'>;
  readonly authorities: readonly string[] | undefined;
  /** Branch to make it from, by name or id; undefined: the default one. */
  readonly branch: string | undefined;
  /** After how long Neon deletes a branch that this run could not delete, because it was killed. */
  readonly expireAfterMs: number;
  readonly signal: AbortSignal;
  readonly onNote: (line: string) => void;
}

/** The note on a branch that says that it is a drill's, and when nobody can need it any more. */
const DRILL = 'neon-fleet-drill';
const DATABASE = 'neon_fleet_drill';

/** Places in new branches of the tenants' own projects; all that are open can be released at the end. */
export function placesInBranches(options: BranchPlaceOptions): {
  readonly place: PlaceForDrill;
  releaseAll(): Promise<void>;
} {
  const open = new Set<Promise<DrillPlace>>();
  return {
    place: (manifest, major) => {
      const making = makePlace(manifest, major, options);
      open.add(making);
      return making;
    },
    async releaseAll() {
      await Promise.allSettled([...open].map(async (making) => (await making).release()));
    },
  };
}

/**
 * Makes a branch with an empty database of the drill's own. Nothing that the branch has from its parent is looked at.
 *
 * @throws NeonApiError, ExplainedError; nothing is left of it then, unless it cannot be deleted.
 */
async function makePlace(manifest: Manifest, major: number, options: BranchPlaceOptions): Promise<DrillPlace> {
  const { neon, cleaner, signal, trust, authorities } = options;
  const { projectId } = manifest;
  const project = await neon.getProject(projectId);
  if (project.pgVersion < major) throw tooOld(manifest, project.pgVersion, major);
  const parent = await branchOfTenant(neon, projectId, options.branch);
  await removeExpired(projectId, options);
  signal.throwIfAborted();
  const expiresAt = new Date(Date.now() + options.expireAfterMs).toISOString();
  // With the one that does not obey: a branch whose answer nobody waited for would not be known to be there.
  const { branch, operations } = await cleaner.createBranch({
    projectId,
    name: `neon-fleet-drill-${randomBytes(6).toString('hex')}`,
    parentId: parent.id,
    withCompute: true,
    expiresAt,
    annotations: { [DRILL]: expiresAt },
  });
  const release = once(() => remove(projectId, branch, cleaner));
  try {
    await waitForOperations(neon, projectId, operations, { signal });
    const role = ownerFor(await neon.listDatabases(projectId, branch.id), manifest);
    await makeDatabase(neon, { projectId, branchId: branch.id, name: DATABASE, owner: role }, signal);
    const uri = await neon.connectionUri({ projectId, branchId: branch.id, database: DATABASE, role });
    return {
      words: `PostgreSQL ${project.pgVersion}, in a branch of ${projectId}`,
      major: project.pgVersion,
      target: parseConnectionUri(uri),
      rootCertificatesFor: (libpqMajor) => trust.rootCertificatesFor(libpqMajor),
      authorities,
      release,
    };
  } catch (thrown) {
    await release();
    throw thrown;
  }
}

async function remove(projectId: string, branch: Branch, cleaner: Api): Promise<void> {
  const operations = await cleaner.deleteBranch(projectId, branch.id);
  await waitForOperations(cleaner, projectId, operations);
}

/** Deletes what a killed drill has left, where Neon has not done so itself. */
async function removeExpired(projectId: string, { neon, onNote }: BranchPlaceOptions): Promise<void> {
  for (const branch of await neon.listBranches(projectId)) {
    if (!isExpiredDrill(branch, new Date())) continue;
    onNote(`Deleting the branch ${branch.name} (${branch.id}), which a drill that was killed has left`);
    await neon.deleteBranch(projectId, branch.id);
  }
}

/** Whether a branch is a drill's own, and that drill's time is over. */
export function isExpiredDrill(branch: Branch, now: Date): boolean {
  const until = Date.parse(branch.annotations?.[DRILL] ?? '');
  return !branch.isDefault && branch.isProtected !== true && branch.parentId !== undefined && until < now.getTime();
}

function once(work: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | undefined;
  return () => (done ??= work());
}

function tooOld({ key, projectId }: Manifest, has: number, needs: number): ExplainedError {
  return new ExplainedError({
    message: `${projectId} is PostgreSQL ${has}, older than the ${needs} that ${key} was made of`,
    hint: 'Set verify-in: runner.',
  });
}
