import { setTimeout as delay } from 'node:timers/promises';

import { ExplainedError } from '@neon-fleet/shared/errors';
import {
  isUnfinished,
  NeonApiError,
  waitForOperations,
  type Neon,
  type NewProject,
  type ProjectListing,
  type ProjectRef,
} from '@neon-fleet/shared/neon';

/** The project of a tenant, and whether this run made it. */
export interface FoundOrCreated {
  readonly project: ProjectRef;
  readonly created: boolean;
}

type Api = Pick<Neon, 'listProjects' | 'createProject' | 'listOperations' | 'getOperation'>;

export interface FindOrCreateOptions {
  readonly signal: AbortSignal;
  readonly note: (line: string) => void;
  /** How long to wait between looks for a project whose creation was not answered. */
  readonly lookAgainAfterMs?: readonly number[];
}

/**
 * Finds the tenant's project by its exact name, and creates it only when it is certain that there is none. Returns when
 * the project's operations have ended.
 *
 * A creation whose answer was lost is looked for, never repeated: a second POST would make a second project.
 *
 * @throws ExplainedError when there are several, when absence is not certain, or when what cannot be changed differs.
 */
export async function findOrCreate(
  neon: Api,
  wanted: NewProject,
  options: FindOrCreateOptions,
): Promise<FoundOrCreated> {
  const { signal, note } = options;
  const listing = await neon.listProjects(searchTerm(wanted.name));
  const existing = onlyProjectNamed(wanted.name, listing);
  if (existing !== undefined) {
    assertUnchangeable(existing, wanted);
    note(`Found project ${existing.projectId}`);
    // An earlier run may have been interrupted while the project was being made.
    await waitForOperations(neon, existing.projectId, await unfinished(neon, existing.projectId), { signal });
    return { project: existing, created: false };
  }
  assertListingComplete(wanted.name, listing);

  try {
    const { project, operations } = await neon.createProject(wanted);
    note(`Created project ${project.projectId}`);
    await waitForOperations(neon, project.projectId, operations, { signal });
    // Another run may have created one at the same time, and a request that was refused and repeated may have counted.
    onlyProjectNamed(wanted.name, await neon.listProjects(searchTerm(wanted.name)));
    return { project, created: true };
  } catch (thrown) {
    if (!(thrown instanceof NeonApiError && thrown.mayHaveBeenCarriedOut)) throw thrown;
    note(`${thrown.message}; looking whether the project was created all the same`);
    const project = await lookForCreated(neon, wanted, options, thrown);
    note(`It was: project ${project.projectId}`);
    await waitForOperations(neon, project.projectId, await unfinished(neon, project.projectId), { signal });
    return { project, created: true };
  }
}

/**
 * The words to narrow the list by. Names with anything unusual in them are not entrusted to a search whose rules are not
 * documented: for these the whole list is read.
 */
export function searchTerm(name: string): string | undefined {
  return /^[A-Za-z0-9][A-Za-z0-9 ._-]*$/.test(name) ? name : undefined;
}

/**
 * The one project of exactly this name.
 *
 * @throws ExplainedError when there are several: names are not unique in Neon, and choosing one would be a guess.
 */
export function onlyProjectNamed(name: string, { projects }: ProjectListing): ProjectRef | undefined {
  const named = projects.filter((project) => project.name === name);
  if (named.length > 1) {
    throw new ExplainedError({
      message: `${named.length} projects are called ${JSON.stringify(name)}: ${named.map(({ projectId }) => projectId).join(', ')}`,
      hint: 'Rename or delete all but one of them in Neon; which one is the tenant is not something to guess.',
    });
  }
  return named[0];
}

function assertListingComplete(name: string, { unavailableProjectIds }: ProjectListing): void {
  if (unavailableProjectIds.length === 0) return;
  throw new ExplainedError({
    message: `whether ${JSON.stringify(name)} exists is not certain: Neon could not describe ${unavailableProjectIds.join(', ')}; nothing was created`,
    hint: 'Run again when Neon lists all projects; creating now could make a second project for the tenant.',
  });
}

function assertUnchangeable(existing: ProjectRef, wanted: NewProject): void {
  const differences = [
    ...(wanted.regionId !== undefined && wanted.regionId !== existing.regionId
      ? [`it is in ${existing.regionId}, not in ${wanted.regionId}`]
      : []),
    ...(wanted.pgVersion !== undefined && wanted.pgVersion !== existing.pgVersion
      ? [`it runs PostgreSQL ${existing.pgVersion}, not ${wanted.pgVersion}`]
      : []),
  ];
  if (differences.length === 0) return;
  throw new ExplainedError({
    message: `the project ${existing.projectId} exists, but ${differences.join(' and ')}; neither can be changed in Neon`,
    hint: 'Leave region and postgres-version out for tenants that exist, or move the data into a new project.',
  });
}

const LOOK_AGAIN_AFTER_MS: readonly number[] = [0, 500, 1_000, 2_000, 4_000];

async function lookForCreated(
  neon: Api,
  wanted: NewProject,
  { signal, lookAgainAfterMs = LOOK_AGAIN_AFTER_MS }: FindOrCreateOptions,
  cause: NeonApiError,
): Promise<ProjectRef> {
  for (const waitMs of lookAgainAfterMs) {
    await delay(waitMs, undefined, { signal });
    const found = onlyProjectNamed(wanted.name, await neon.listProjects(searchTerm(wanted.name)));
    if (found !== undefined) return found;
  }
  throw new ExplainedError(
    {
      message: `${cause.message}; the project did not appear in the list afterwards`,
      ...(cause.code === undefined ? {} : { code: cause.code }),
      hint: 'Run again: it is looked for by name first, so nothing is created twice.',
    },
    { cause },
  );
}

async function unfinished(neon: Api, projectId: string) {
  const operations = await neon.listOperations(projectId);
  // What failed in the past is history; only what is still under way is waited for.
  return operations.filter(isUnfinished);
}
