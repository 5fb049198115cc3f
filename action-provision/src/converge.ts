import type { DesiredTenant } from '@neon-fleet/shared/fleet';
import {
  NeonApiError,
  waitForOperations,
  type Management,
  type Neon,
  type ProjectState,
} from '@neon-fleet/shared/neon';

import { changesOf, endpointChangeOf, updateOf, type Change } from './settings.js';

type Api = Pick<Neon, 'getOperation'> & {
  readonly manage: Pick<
    Management,
    'listStates' | 'listEndpoints' | 'listAnnotatedBranches' | 'updateEndpoint' | 'updateProject'
  >;
};

export interface ConvergeOptions {
  readonly signal: AbortSignal;
  readonly note: (line: string) => void;
}

const MOST_ATTEMPTS = 3;

/**
 * Makes a project as desired. The computes that are there come first and the project last: until all of it is done the
 * list of projects shows the difference, so that the next run finishes what was interrupted.
 *
 * A change whose answer was lost is looked at before it is sent again.
 */
export async function converge(
  neon: Api,
  desired: DesiredTenant,
  state: ProjectState,
  options: ConvergeOptions,
): Promise<readonly Change[]> {
  let actual = state;
  for (let attempt = 1; ; attempt += 1) {
    try {
      await sendChanges(neon, desired, actual, options);
      return changesOf(desired, state);
    } catch (thrown) {
      if (!(thrown instanceof NeonApiError && isAnswerLost(thrown)) || attempt >= MOST_ATTEMPTS) throw thrown;
      options.note(`${thrown.message}; looking what became of it`);
      const { projects } = await neon.manage.listStates({ search: state.projectId });
      const now = projects.find(({ projectId }) => projectId === state.projectId);
      if (now === undefined) throw thrown;
      actual = now;
    }
  }
}

async function sendChanges(
  { manage, getOperation }: Api,
  desired: DesiredTenant,
  state: ProjectState,
  { signal, note }: ConvergeOptions,
): Promise<void> {
  const { projectId } = state;
  const changes = changesOf(desired, state);
  if (changes.length === 0) return;
  note(`Changing ${changesText(changes)}`);
  const compute = endpointChangeOf(desired, changes);
  if (compute !== undefined) {
    for (const endpointId of await tenantsComputes(manage, projectId)) {
      const operations = await manage.updateEndpoint(projectId, endpointId, compute);
      await waitForOperations({ getOperation }, projectId, operations, { signal });
    }
  }
  const operations = await manage.updateProject(projectId, updateOf(desired, state));
  await waitForOperations({ getOperation }, projectId, operations, { signal });
}

/** The computes that customers are on: those of the default branch, and not those of branches for development. */
async function tenantsComputes(
  manage: Pick<Management, 'listEndpoints' | 'listAnnotatedBranches'>,
  projectId: string,
): Promise<string[]> {
  const writers = (await manage.listEndpoints(projectId)).filter(({ isWriter }) => isWriter);
  if (writers.length < 2) return writers.map(({ id }) => id);
  const main = (await manage.listAnnotatedBranches(projectId)).find(({ isDefault }) => isDefault);
  return writers.filter(({ branchId }) => branchId === main?.id).map(({ id }) => id);
}

/** Changes in one line. */
export function changesText(changes: readonly Change[]): string {
  return changes.map(({ setting, from, to }) => `${setting}: ${from} → ${to}`).join('; ');
}

function isAnswerLost({ status }: NeonApiError): boolean {
  return status === undefined || status === 408 || status === 500 || status === 502 || status === 504;
}
