import { setTimeout as delay } from 'node:timers/promises';

import { ExplainedError } from '@neon-fleet/shared/errors';
import {
  NeonApiError,
  unfinishedOperations,
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

/** How this very process knows the projects that it made itself. */
export interface Ownership {
  /** Whether a project is the one that this call made, also when its answer was lost. */
  readonly isMine: (project: ProjectRef) => Promise<boolean>;
  /** Removes a project that this call made a moment ago. @throws when anything has come to be in it since. */
  readonly remove: (project: ProjectRef) => Promise<void>;
}

export interface FindOrCreateOptions {
  readonly signal: AbortSignal;
  readonly note: (line: string) => void;
  /** Called with the project's id as soon as it is known. */
  readonly found?: (projectId: string) => void;
  /** How long to wait between looks for a project whose creation was not answered. */
  readonly lookAgainAfterMs?: readonly number[];
  /** Absent: two projects of one name are an error, whoever made them. */
  readonly ownership?: Ownership;
}

/**
 * Finds the tenant's project by its exact name, and creates it only when it is certain that there is none. Returns when
 * the project's operations have ended.
 *
 * A creation whose answer was lost is looked for, never repeated: a second POST would make a second project. When another
 * run made one at the same time, the older one stays, and whoever made the younger one removes it again.
 *
 * @throws ExplainedError when there are several, when absence is not certain, or when what cannot be changed differs.
 */
export async function findOrCreate(
  neon: Api,
  wanted: NewProject,
  options: FindOrCreateOptions,
): Promise<FoundOrCreated> {
  const { signal, note, found } = options;
  const listing = await neon.listProjects(searchTerm(wanted.name));
  const existing = onlyProjectNamed(wanted.name, listing);
  if (existing !== undefined) {
    found?.(existing.projectId);
    assertUnchangeable(existing, wanted);
    note(`Found project ${existing.projectId}`);
    // An earlier run may have been interrupted while the project was being made.
    await waitForOperations(neon, existing.projectId, await unfinishedOperations(neon, existing.projectId), { signal });
    return { project: existing, created: false };
  }
  assertListingComplete(wanted.name, listing);

  try {
    const { project, operations } = await neon.createProject(wanted);
    found?.(project.projectId);
    note(`Created project ${project.projectId}`);
    await waitForOperations(neon, project.projectId, operations, { signal });
    return await keepOldest(neon, project, options);
  } catch (thrown) {
    if (!(thrown instanceof NeonApiError && thrown.mayHaveBeenCarriedOut && thrown.operation === 'createProject'))
      throw thrown;
    note(`${thrown.message}; looking whether the project was created all the same`);
    const project = await lookForCreated(neon, wanted, options, thrown);
    found?.(project.projectId);
    note(`It was: project ${project.projectId}`);
    await waitForOperations(neon, project.projectId, await unfinishedOperations(neon, project.projectId), { signal });
    if (options.ownership === undefined) return { project, created: true };
    if (await options.ownership.isMine(project)) return await keepOldest(neon, project, options);
    return { project, created: false };
  }
}

/**
 * After a creation: another run may have made one of the same name at the same time, and a request that was refused and
 * repeated may have counted. What was made first stays; names are not unique in Neon, so nothing else keeps them apart.
 *
 * The list may be late. By the time that it shows ours it shows all that are older, so that the younger ones always know.
 */
async function keepOldest(neon: Api, mine: ProjectRef, options: FindOrCreateOptions): Promise<FoundOrCreated> {
  const { signal, note, ownership, lookAgainAfterMs = LOOK_AGAIN_AFTER_MS } = options;
  if (ownership === undefined) {
    onlyProjectNamed(mine.name, await neon.listProjects(searchTerm(mine.name)));
    return { project: mine, created: true };
  }
  let named: readonly ProjectRef[] = [];
  let seenAlone = 0;
  for (const waitMs of [...lookAgainAfterMs, ...lookAgainAfterMs.slice(-1)]) {
    await delay(waitMs, undefined, { signal });
    const { projects } = await neon.listProjects(searchTerm(mine.name));
    named = projects.filter(({ name }) => name === mine.name);
    if (!named.some(({ projectId }) => projectId === mine.projectId)) continue;
    const oldest = named.toSorted(bySeniority)[0] ?? mine;
    if (oldest.projectId !== mine.projectId) {
      note(`Another run made ${oldest.projectId} at the same time, and before; removing ${mine.projectId} again`);
      await ownership.remove(mine);
      await waitForOperations(neon, oldest.projectId, await unfinishedOperations(neon, oldest.projectId), { signal });
      return { project: oldest, created: false };
    }
    if (named.length > 1) {
      note('Another run made one at the same time, but later; waiting for it to remove that again');
      continue;
    }
    seenAlone += 1;
    // Times to the second leave open which of two is older, so that the other one is given the time to show.
    if (seenAlone > 1 || hasFractions(mine.createdAt)) return { project: mine, created: true };
  }
  if (named.length > 1) throw severalNamed(mine.name, named);
  throw new ExplainedError({
    message: `the project ${mine.projectId} was created, but Neon's list does not show it yet, so that another one of the same name cannot be ruled out`,
    hint: 'Run again: it is found by its name and finished.',
  });
}

function bySeniority(a: ProjectRef, b: ProjectRef): number {
  return Date.parse(a.createdAt) - Date.parse(b.createdAt) || (a.projectId < b.projectId ? -1 : 1);
}

function hasFractions(time: string): boolean {
  return Date.parse(time) % 1_000 !== 0;
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
  if (named.length > 1) throw severalNamed(name, named);
  return named[0];
}

function severalNamed(name: string, named: readonly ProjectRef[]): ExplainedError {
  return new ExplainedError({
    message: `${named.length} projects are called ${JSON.stringify(name)}: ${named.map(({ projectId }) => projectId).join(', ')}`,
    hint: 'Rename or delete all but one of them in Neon; which one is the tenant is not something to guess.',
  });
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

const LOOK_AGAIN_AFTER_MS: readonly number[] = [0, 1_000, 1_000, 2_000, 4_000, 8_000];

async function lookForCreated(
  neon: Api,
  wanted: NewProject,
  { signal, lookAgainAfterMs = LOOK_AGAIN_AFTER_MS, ownership }: FindOrCreateOptions,
  cause: NeonApiError,
): Promise<ProjectRef> {
  let somebodyElses: ProjectRef | undefined;
  for (const waitMs of lookAgainAfterMs) {
    await delay(waitMs, undefined, { signal });
    const listing = await neon.listProjects(searchTerm(wanted.name));
    if (ownership === undefined) {
      const found = onlyProjectNamed(wanted.name, listing);
      if (found !== undefined) return found;
      continue;
    }
    const named = listing.projects.filter(({ name }) => name === wanted.name);
    for (const project of named) if (await ownership.isMine(project)) return project;
    somebodyElses = onlyProjectNamed(wanted.name, { ...listing, projects: named });
  }
  if (somebodyElses !== undefined) return somebodyElses;
  throw new ExplainedError(
    {
      message: `${cause.message}; the project did not appear in the list afterwards`,
      ...(cause.code === undefined ? {} : { code: cause.code }),
      hint: 'Run again: it is looked for by name first, so nothing is created twice.',
    },
    { cause },
  );
}
