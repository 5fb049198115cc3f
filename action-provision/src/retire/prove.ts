import { proveBackup, usedSince, type ProvenBackup } from '@neon-fleet/shared/backups';
import { ExplainedError } from '@neon-fleet/shared/errors';
import type { AnnotatedBranch, ProjectState } from '@neon-fleet/shared/neon';
import type { ObjectStore } from '@neon-fleet/shared/s3';

import type { ManagedNeon } from '../provision-tenant.js';

export interface ProofOptions {
  readonly store: ObjectStore;
  /** Normalised: empty, or with a slash at its end. */
  readonly prefix: string;
  readonly maxAgeMs: number;
  readonly signal: AbortSignal;
}

/** What the deletion of a project would take away, and what remains of it. */
export interface Proof {
  readonly backups: readonly ProvenBackup[];
  /** Names of branches other than the one that was backed up. */
  readonly otherBranches: readonly string[];
}

type Api = Pick<ManagedNeon, 'listDatabases' | 'getProject'> & {
  readonly manage: Pick<ManagedNeon['manage'], 'listAnnotatedBranches'>;
};

/**
 * Proves that every database of the tenant has a backup that the project may be given up for.
 *
 * @param branch of the tenant's data, by name or id; absent: the default one.
 * @throws ExplainedError that says what is missing; S3Error, NeonApiError.
 */
export async function proveProject(
  neon: Api,
  { projectId }: Pick<ProjectState, 'projectId'>,
  branch: string | undefined,
  { store, prefix, maxAgeMs, signal }: ProofOptions,
): Promise<Proof> {
  const branches = await neon.manage.listAnnotatedBranches(projectId);
  const isProtected = branches.find((each) => each.isProtected);
  if (isProtected !== undefined) throw protectedBranch(projectId, isProtected);
  const data = branches.find((each) =>
    branch === undefined ? each.isDefault : each.id === branch || each.name === branch,
  );
  if (data === undefined) throw notDeleted(`the project ${projectId} has no branch ${branch ?? 'that is the default'}`);
  const databases = await neon.listDatabases(projectId, data.id);
  // An answer without any is more likely to be wrong than a tenant that has nothing.
  if (databases.length === 0) throw notDeleted(`the branch ${data.id} of ${projectId} lists no database`);
  const backups: ProvenBackup[] = [];
  for (const { name: database } of databases) {
    const wanted = { prefix, projectId, branch: data, database, maxAgeMs, now: new Date() };
    backups.push(await proveBackup(store, wanted, signal));
  }
  // Last of all, so that little time is left for anybody to come in between.
  const { computeLastActiveAt } = await neon.getProject(projectId);
  const used = usedSince(backups, computeLastActiveAt === undefined ? undefined : new Date(computeLastActiveAt));
  if (used !== undefined) throw usedInBetween(used);
  return { backups, otherBranches: branches.filter((each) => each !== data).map(({ name }) => name) };
}

function notDeleted(why: string): ExplainedError {
  return new ExplainedError({ message: `${why}; nothing was deleted` });
}

function protectedBranch(projectId: string, { name }: AnnotatedBranch): ExplainedError {
  return new ExplainedError({
    message: `the branch ${JSON.stringify(name)} of ${projectId} is protected; nothing was deleted`,
    hint: 'Whoever is sure takes the protection off in the Neon console first.',
  });
}

function usedInBetween(why: string): ExplainedError {
  return new ExplainedError({
    message: `${why}; nothing was deleted`,
    hint: 'Stop what uses the tenant. Then run backup with `skip-unchanged: true`, which notes that it saw nobody else, verify it, and run this again.',
  });
}
