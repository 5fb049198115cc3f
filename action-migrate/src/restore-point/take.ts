import { readWalPosition } from '@neon-fleet/shared/drizzle';
import { ExplainedError } from '@neon-fleet/shared/errors';
import type { RestorePoint, Tenant } from '@neon-fleet/shared/fleet';
import { BranchExistsError, waitForOperations, type Neon } from '@neon-fleet/shared/neon';
import type { Connection } from '@neon-fleet/shared/postgres';

/** `lsn`: a position in the log, which costs nothing; `branch`: a copy under a name of its own. */
export const RESTORE_POINTS = ['lsn', 'branch', 'none'] as const;
export type RestorePointKind = (typeof RESTORE_POINTS)[number];

export interface TakeOptions {
  readonly kind: RestorePointKind;
  /** Whether the work must not begin without one: somebody asked for failures to be taken back. */
  readonly required: boolean;
  /** Names the run in the names of branches, the same in each attempt of it. */
  readonly runName: string;
  /** Where the connection is to, as the connection URI has it. */
  readonly host: string;
  readonly branchId: string | undefined;
  readonly signal: AbortSignal;
  readonly note: (line: string) => void;
  readonly now?: () => Date;
}

type Api = Pick<Neon, 'createBranch' | 'defaultBranch' | 'listBranches' | 'getOperation'>;

/** A branch that nobody needs any more counts against the project's limit, so that it goes by itself. */
const BRANCH_KEPT_DAYS = 7;
const DAY_MS = 86_400_000;

/**
 * Notes where the database can be put back to, on the connection that is open anyway.
 *
 * @throws ExplainedError when there can be none although one is required; PostgresError, NeonApiError.
 */
export async function takeRestorePoint(
  neon: Api,
  tenant: Tenant,
  connection: Pick<Connection, 'query'>,
  options: TakeOptions,
): Promise<RestorePoint | undefined> {
  switch (options.kind) {
    case 'none':
      return undefined;
    case 'lsn':
      return positionInLog(tenant, connection, options);
    case 'branch':
      return branchOfNow(neon, tenant, options);
  }
}

async function positionInLog(
  { projectId, historyRetentionSeconds }: Tenant,
  connection: Pick<Connection, 'query'>,
  { host, required, note, now = () => new Date() }: TakeOptions,
): Promise<RestorePoint | undefined> {
  if (historyRetentionSeconds === 0) {
    const why = `the project ${projectId} keeps no history, so that there is no moment to go back to`;
    if (!required) {
      note(`No restore point: ${why}.`);
      return undefined;
    }
    throw new ExplainedError({
      message: `${why}; nothing was changed`,
      hint: "Raise the project's history retention in Neon, or use restore-point: branch.",
    });
  }
  const { lsn, takenAt } = await readWalPosition(connection, now);
  return {
    kind: 'lsn',
    host,
    lsn,
    takenAt,
    ...(historyRetentionSeconds === undefined
      ? {}
      : { usableUntil: new Date(Date.parse(takenAt) + historyRetentionSeconds * 1_000).toISOString() }),
  };
}

async function branchOfNow(
  neon: Api,
  { projectId }: Tenant,
  { branchId: given, runName, signal, note, now = () => new Date() }: TakeOptions,
): Promise<RestorePoint> {
  const takenAt = now();
  const branchId = given ?? (await neon.defaultBranch(projectId)).id;
  const name = `before-migration-${runName}`;
  const expiresAt = new Date(takenAt.getTime() + BRANCH_KEPT_DAYS * DAY_MS).toISOString();
  try {
    const { branch, operations } = await neon.createBranch({ projectId, name, parentId: branchId, expiresAt });
    await waitForOperations(neon, projectId, operations, { signal });
    note(`Restore point: branch ${name} (${branch.id}), kept for ${BRANCH_KEPT_DAYS} days`);
    return { kind: 'branch', branchId, restoreBranchId: branch.id, name, takenAt: takenAt.toISOString() };
  } catch (thrown) {
    if (!(thrown instanceof BranchExistsError)) throw thrown;
    // An earlier attempt of this run made it, before it changed anything: that is what to go back to.
    const earlier = (await neon.listBranches(projectId)).find((branch) => branch.name === name);
    if (earlier === undefined) throw thrown;
    note(`Restore point: branch ${name} (${earlier.id}) of an earlier attempt`);
    return {
      kind: 'branch',
      branchId,
      restoreBranchId: earlier.id,
      name,
      takenAt: earlier.createdAt ?? takenAt.toISOString(),
    };
  }
}
