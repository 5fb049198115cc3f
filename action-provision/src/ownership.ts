import { ExplainedError } from '@neon-fleet/shared/errors';
import { NEON_DEFAULTS, type DesiredTenant } from '@neon-fleet/shared/fleet';
import { findDatabase, NeonApiError, type Management, type Neon, type ProjectRef } from '@neon-fleet/shared/neon';
import { connect, parseConnectionUri } from '@neon-fleet/shared/postgres';

import type { Ownership } from './find-or-create.js';
import { NOTES } from './settings.js';

export interface OwnershipOptions {
  readonly desired: DesiredTenant;
  /** The mark that this attempt put on what it made. */
  readonly attempt: string;
  readonly authorities: readonly string[] | undefined;
  readonly signal: AbortSignal;
}

type Api = Neon & { readonly manage: Pick<Management, 'listAnnotatedBranches' | 'deleteProject' | 'listStates'> };

/** Knows a project that this process made by the note on its branch, also when the answer to its creation was lost. */
export function ownershipOf(neon: Api, { desired, attempt, authorities, signal }: OwnershipOptions): Ownership {
  return {
    async isMine({ projectId }) {
      const branches = await neon.manage.listAnnotatedBranches(projectId);
      return branches.some(({ annotations }) => annotations[NOTES.attempt] === attempt);
    },

    async remove(project) {
      const { projectId } = project;
      const branches = await neon.manage.listAnnotatedBranches(projectId);
      const [only, ...others] = branches;
      if (only?.annotations[NOTES.attempt] !== attempt) throw notRemoved(project, 'it was not made by this run');
      if (others.length > 0) throw notRemoved(project, 'it has branches by now');
      const { database = NEON_DEFAULTS.database, role = NEON_DEFAULTS.role } = desired.settings;
      const assumed = {
        database: desired.settings.database === undefined,
        role: desired.settings.role === undefined,
      };
      const { uri } = await findDatabase(neon, { projectId, database, role, assumed });
      if (!(await isEmpty(uri, authorities, signal))) throw notRemoved(project, 'something is in it by now');
      await deleteOnce(neon.manage, projectId);
    },
  };
}

const ANYTHING_THERE = `SELECT count(*)::int AS count FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND n.nspname NOT LIKE 'pg\\_%'`;

async function isEmpty(uri: string, authorities: readonly string[] | undefined, signal: AbortSignal): Promise<boolean> {
  const connection = await connect(parseConnectionUri(uri), {
    signal,
    authorities,
    applicationName: 'neon-fleet provision',
  });
  try {
    const [row] = await connection.query(ANYTHING_THERE);
    return row?.['count'] === 0;
  } finally {
    await connection.close();
  }
}

/** Deletes a project; when the answer is lost, looks whether it is gone. It can be recovered for 7 days all the same. */
export async function deleteOnce(
  manage: Pick<Management, 'deleteProject' | 'listStates'>,
  projectId: string,
): Promise<void> {
  try {
    await manage.deleteProject(projectId);
  } catch (thrown) {
    if (!(thrown instanceof NeonApiError)) throw thrown;
    if (thrown.status === 404 && thrown.isNeonsAnswer) return;
    if (thrown.status !== undefined && thrown.status < 500 && thrown.status !== 408) throw thrown;
    const { projects, unavailableProjectIds } = await manage.listStates({ search: projectId });
    const isThere = projects.some((project) => project.projectId === projectId);
    if (isThere || unavailableProjectIds.includes(projectId)) throw thrown;
  }
}

function notRemoved({ projectId, name }: ProjectRef, why: string): ExplainedError {
  return new ExplainedError({
    message: `two projects are called ${JSON.stringify(name)}, and ${projectId} was the second; it was not removed: ${why}`,
    hint: 'Look at both in Neon, and delete or rename the one that is not the tenant.',
  });
}
