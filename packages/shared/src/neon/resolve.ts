import { ExplainedError } from '../errors/index.js';
import { NeonApiError, StillCreatingError } from './errors.js';
import type { Branch, Neon } from './port.js';

/** A database that a tenant's data is said to be in; `branch` is an id or a name. */
export interface WantedDatabase {
  readonly projectId: string;
  readonly branch?: string;
  readonly database: string;
  readonly role: string;
  /** Which of the names nobody spelled out: only for these may another one be used. */
  readonly assumed: AssumedNames;
}

/** Whether a name is Neon's default rather than somebody's word. */
export interface AssumedNames {
  readonly database: boolean;
  readonly role: boolean;
}

/** A database that was found, with the URI (a secret) that opens it over the direct host. */
export interface FoundDatabase {
  readonly database: string;
  readonly role: string;
  readonly branchId?: string;
  readonly uri: string;
}

type Api = Pick<Neon, 'connectionUri' | 'listBranches' | 'listDatabases'>;

/**
 * Finds the database of a tenant with one call in the common case. Only when Neon does not know the database or role
 * are the project's own looked up: where the name was only assumed, a single one is used. Several, or a name that was
 * spelled out and does not exist, are an error that lists what there is: work never lands in another database than asked.
 *
 * @throws ExplainedError when there is no such branch, or no single database to choose; StillCreatingError when Neon has
 *   not finished making it.
 */
export async function findDatabase(neon: Api, wanted: WantedDatabase): Promise<FoundDatabase> {
  const branch = wanted.branch === undefined ? undefined : await findBranch(neon, wanted.projectId, wanted.branch);
  const branchId = branch?.id;
  const request = {
    projectId: wanted.projectId,
    database: wanted.database,
    role: wanted.role,
    ...(branchId === undefined ? {} : { branchId }),
  };
  try {
    return { ...request, uri: await neon.connectionUri(request) };
  } catch (thrown) {
    if (!(thrown instanceof NeonApiError && thrown.status === 404)) throw thrown;
    const only = await onlyDatabase(neon, wanted, branch, thrown);
    const instead = { ...request, ...only };
    return { ...instead, uri: await neon.connectionUri(instead).catch(notThereEither(instead)) };
  }
}

/** The project answers, and lists the database: what a second 404 is about is the role. */
function notThereEither({ projectId, database, role }: { projectId: string; database: string; role: string }) {
  return (thrown: unknown): never => {
    if (!(thrown instanceof NeonApiError && thrown.status === 404)) throw thrown;
    throw new ExplainedError(
      {
        message: `Neon gives no connection to ${JSON.stringify(database)} as ${JSON.stringify(role)} in the project ${projectId}`,
        hint: 'Does the role exist on that branch? Set the inputs database and role.',
      },
      { cause: thrown },
    );
  };
}

/** A branch by its id or name. @throws ExplainedError that lists what there is, when it is not among them */
export async function findBranch(neon: Pick<Neon, 'listBranches'>, projectId: string, branch: string): Promise<Branch> {
  const branches = await neon.listBranches(projectId);
  const found = branches.find(({ id }) => id === branch) ?? branches.find(({ name }) => name === branch);
  if (found !== undefined) return found;
  throw new ExplainedError({
    message: `the project ${projectId} has no branch ${JSON.stringify(branch)}`,
    hint: `It has ${listed(branches.map(({ name, id }) => `${JSON.stringify(name)} (${id})`))}. Set the input branch.`,
  });
}

async function onlyDatabase(
  neon: Api,
  { projectId, database, role, assumed }: WantedDatabase,
  named: Branch | undefined,
  cause: NeonApiError,
): Promise<{ database: string; role: string }> {
  const branches = named === undefined ? await neon.listBranches(projectId) : [named];
  // The project answers, so it is not gone: it has no branch, or one without anything in it yet.
  if (branches.length === 0) throw new StillCreatingError(projectId, 'the default branch', { cause });
  const branch = named ?? branches.find(({ isDefault }) => isDefault);
  if (branch === undefined) throw cause;
  if (branch.state === 'init') {
    throw new StillCreatingError(projectId, `the branch ${JSON.stringify(branch.name)}`, { cause });
  }
  const databases = await neon.listDatabases(projectId, branch.id);
  const ofThatName = databases.filter(({ name }) => name === database);
  const [only, ...others] = ofThatName.length > 0 || !assumed.database ? ofThatName : databases;
  if (only !== undefined && others.length === 0) {
    const found = { database: only.name, role: assumed.role ? only.owner : role };
    if (found.database !== database || found.role !== role) return found;
  }
  throw new ExplainedError(
    {
      message: `the project ${projectId} has no database ${JSON.stringify(database)} with a role ${JSON.stringify(role)}`,
      hint: `It has ${listed(databases.map(({ name, owner }) => `${JSON.stringify(name)} owned by ${JSON.stringify(owner)}`))}. Set the inputs database and role.`,
    },
    { cause },
  );
}

function listed(items: readonly string[]): string {
  return items.length === 0 ? 'none at all' : items.join(', ');
}
