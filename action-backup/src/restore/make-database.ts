import type { Manifest } from '@neon-fleet/shared/backups';
import { waitForOperations, type Database, type Neon } from '@neon-fleet/shared/neon';

/** Whose a database for a dump is to be: its original's, else that of another one of the branch, else as the manifest says. */
export function ownerFor(databases: readonly Database[], { database, role }: Manifest): string {
  return databases.find(({ name }) => name === database)?.owner ?? databases[0]?.owner ?? role;
}

interface WantedDatabase {
  readonly projectId: string;
  readonly branchId: string;
  readonly name: string;
  readonly owner: string;
}

/** Makes an empty database in a branch, and waits until it is there. @throws NeonApiError, ExplainedError */
export async function makeDatabase(
  neon: Pick<Neon, 'createDatabase' | 'getOperation'>,
  { projectId, branchId, name, owner }: WantedDatabase,
  signal: AbortSignal,
): Promise<void> {
  const operations = await neon.createDatabase(projectId, branchId, { name, owner });
  await waitForOperations(neon, projectId, operations, { signal });
}
