import { randomBytes } from 'node:crypto';

import type { Manifest } from '@neon-fleet/shared/backups';
import {
  NeonApiError,
  unfinishedOperations,
  waitForOperations,
  type Neon,
  type Operation,
  type ProjectRef,
} from '@neon-fleet/shared/neon';

type Api = Pick<Neon, 'createProject' | 'listProjects' | 'listOperations' | 'getOperation' | 'connectionUri'>;

/** A fresh project to restore into; the URI is a secret. */
export interface NewTarget {
  readonly projectId: string;
  readonly name: string;
  readonly database: string;
  readonly uri: string;
}

/**
 * Makes a project beside the original, with a database and an owner of the same names, on the same major version.
 *
 * Its name has an ending of its own, so that it is found again should Neon's answer be lost, and never made twice.
 *
 * @throws NeonApiError, ExplainedError.
 */
export async function makeTarget(neon: Api, manifest: Manifest, signal: AbortSignal): Promise<NewTarget> {
  const day = manifest.startedAt.slice(0, 10);
  const name = `${manifest.name.slice(0, 200)} (restored from ${day}, ${randomBytes(3).toString('hex')})`;
  const { database, role } = manifest;
  const pgVersion = Number(/^\d+/.exec(manifest.postgres.server)?.[0]);
  const { project, operations } = await create(neon, { name, database, role, pgVersion });
  await waitForOperations(neon, project.projectId, operations, { signal });
  const uri = await neon.connectionUri({ projectId: project.projectId, database, role });
  return { projectId: project.projectId, name, database, uri };
}

async function create(
  neon: Api,
  wanted: Parameters<Neon['createProject']>[0],
): Promise<{ project: ProjectRef; operations: readonly Operation[] }> {
  try {
    return await neon.createProject(wanted);
  } catch (thrown) {
    if (!(thrown instanceof NeonApiError && thrown.mayHaveBeenCarriedOut)) throw thrown;
    const { projects } = await neon.listProjects();
    const project = projects.find(({ name }) => name === wanted.name);
    if (project === undefined) throw thrown;
    return { project, operations: await unfinishedOperations(neon, project.projectId) };
  }
}
