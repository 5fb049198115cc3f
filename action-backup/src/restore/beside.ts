import type { Manifest } from '@neon-fleet/shared/backups';
import type { Branch, Neon } from '@neon-fleet/shared/neon';

import { makeDatabase, ownerFor } from './make-database.js';
import { makeOrFindBranch, type BranchApi } from './own-branch.js';

/** A database that was made to restore into. The URI is a secret. */
export interface MadeTarget {
  readonly projectId: string;
  readonly branch: Branch;
  readonly wasThere: boolean;
  readonly database: string;
  readonly role: string;
  readonly uri: string;
}

type Api = BranchApi & Pick<Neon, 'listDatabases' | 'createDatabase' | 'connectionUri'>;

/**
 * Makes an empty database for a dump in a new branch of the tenant's own project.
 *
 * A new branch holds what its parent holds (Neon makes no empty ones), so the dump goes beside that, into a database with a
 * name of its own: nothing has to be deleted, and what was restored cannot be taken for what is there today. Branch
 * and database are named after the backup, so that a second run finds them.
 *
 * @throws BranchExistsError, NeonApiError, ExplainedError.
 */
export async function makeBranchTarget(
  neon: Api,
  { projectId, parent }: { readonly projectId: string; readonly parent: Branch },
  manifest: Manifest,
  signal: AbortSignal,
): Promise<MadeTarget> {
  const timestamp = timestampOf(manifest);
  const { branch, wasThere } = await makeOrFindBranch(
    neon,
    {
      projectId,
      name: `restored-${timestamp}-${manifest.database}`.slice(0, LONGEST_BRANCH_NAME),
      parentId: parent.id,
      purpose: `dump ${manifest.key} beside ${parent.id}`,
    },
    signal,
  );
  const database = restoredName(manifest.database, timestamp);
  const databases = await neon.listDatabases(projectId, branch.id);
  const there = databases.find(({ name }) => name === database);
  const role = there?.owner ?? ownerFor(databases, manifest);
  if (there === undefined) {
    await makeDatabase(neon, { projectId, branchId: branch.id, name: database, owner: role }, signal);
  }
  const uri = await neon.connectionUri({ projectId, branchId: branch.id, database, role });
  return { projectId, branch, wasThere, database, role, uri };
}

const LONGEST_BRANCH_NAME = 256;
const LONGEST_NAME_BYTES = 63;

/** The timestamp in the key of a backup; of a key that somebody else chose, what is left of it. */
export function timestampOf({ key }: Pick<Manifest, 'key'>): string {
  const file = key.slice(key.lastIndexOf('/') + 1);
  return /^\d{8}T\d+Z/.exec(file)?.[0] ?? file.replace(/[^A-Za-z0-9]/g, '').slice(0, 40);
}

/** What the database of a dump is called beside one that has its name: with the second that the dump is of. */
export function restoredName(database: string, timestamp: string): string {
  const ending = `_restored_${timestamp.slice(0, 15).toLowerCase()}`;
  let base = database;
  while (Buffer.byteLength(base + ending) > LONGEST_NAME_BYTES) base = base.replace(/.$/su, '');
  return base + ending;
}
