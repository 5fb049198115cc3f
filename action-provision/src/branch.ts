import { randomUUID } from 'node:crypto';

import * as core from '@actions/core';
import type { ActionContext } from '@neon-fleet/shared/actions';
import { ExplainedError } from '@neon-fleet/shared/errors';
import { tenantOf, type WorkResult } from '@neon-fleet/shared/fleet';
import {
  findDatabase,
  NeonApiError,
  unfinishedOperations,
  waitForOperations,
  type AnnotatedBranch,
  type Operation,
} from '@neon-fleet/shared/neon';
import { hostOf, parseConnectionUri } from '@neon-fleet/shared/postgres';

import { workOnExisting, type ExistingTenant } from './existing.js';
import type { ProvisionInputs } from './inputs.js';

export const BRANCH_ACTIONS = ['create', 'reset', 'delete'] as const;

/** The note on a branch by which its maker knows it when the answer was lost. */
const MARK = 'neon-fleet-request';

/** `branch`: makes, resets or deletes a branch of one project for development. Doing it twice is the same as once. */
export async function changeBranch(values: ProvisionInputs, context: ActionContext): Promise<void> {
  const { branch: name, branchAction } = values;
  // The inputs were checked for it; said once more for the compiler.
  if (name === undefined || branchAction === undefined) throw new Error('branch and branch-action are needed');
  await workOnExisting(values, context, {
    ofOne: true,
    work: async (existing) => {
      const project = existing.project();
      const branches = await existing.neon.manage.listAnnotatedBranches(project.projectId);
      const found = branches.find((each) => each.name === name);
      if (found !== undefined) assertForDevelopment(existing, found, branchAction);
      const { projectId } = project;
      switch (branchAction) {
        case 'delete':
          return { projectId, ...(await remove(existing, found, name)) };
        case 'reset':
          return { projectId, ...(await reset(existing, found, name, context.mask)) };
        case 'create':
          return { projectId, ...(await create(existing, found, { name, expiresAt: values.expiresAt }, context.mask)) };
      }
    },
  });
}

/** @throws ExplainedError for a branch that customers' data is, or may be, in. */
function assertForDevelopment({ tenant, project }: ExistingTenant, branch: AnnotatedBranch, action: string): void {
  const why = branch.isDefault
    ? 'it is the default branch'
    : branch.isProtected
      ? 'it is protected'
      : branch.parentId === undefined
        ? 'it has no parent'
        : tenant.settings.branch === branch.name || tenant.settings.branch === branch.id
          ? "the fleet file says that the tenant's data is in it"
          : undefined;
  if (why === undefined) return;
  throw new ExplainedError({
    message: `the branch ${JSON.stringify(branch.name)} of ${project().projectId} is none for development: ${why}; nothing was done (${action})`,
    hint: 'Choose another name. Protection is taken off in the Neon console.',
  });
}

async function create(
  existing: ExistingTenant,
  found: AnnotatedBranch | undefined,
  wanted: { readonly name: string; readonly expiresAt: string | undefined },
  mask: (secret: string) => void,
): Promise<WorkResult> {
  const { neon, signal } = existing;
  const { projectId } = existing.project();
  const { name, expiresAt } = wanted;
  if (found !== undefined) {
    const differs = expiresAt !== undefined && Date.parse(found.expiresAt ?? '') !== Date.parse(expiresAt);
    if (differs) {
      const operations = await neon.manage.setBranchExpiry(projectId, found.id, expiresAt);
      await waitForOperations(neon, projectId, operations, { signal });
    }
    await waitForOperations(neon, projectId, await unfinishedOperations(neon, projectId), { signal });
    await setBranchOutputs(existing, found.id, false, mask);
    return differs
      ? { status: 'succeeded', detail: `${name} exists already; it expires at ${expiresAt} now` }
      : { status: 'unchanged', reason: 'up-to-date', detail: `${name} exists already` };
  }
  const mark = randomUUID();
  let made: { readonly id: string; readonly operations: readonly Operation[]; readonly isMine: boolean };
  try {
    const { branch, operations } = await neon.manage.createDevBranch(projectId, {
      name,
      annotations: { [MARK]: mark },
      ...(expiresAt === undefined ? {} : { expiresAt }),
    });
    made = { id: branch.id, operations, isMine: true };
  } catch (thrown) {
    // Another run may have been faster, or the answer was lost: names are unique, so there is only one to look for.
    if (!(thrown instanceof NeonApiError && (thrown.mayHaveBeenCarriedOut || thrown.status === 409))) throw thrown;
    const there = (await neon.manage.listAnnotatedBranches(projectId)).find((branch) => branch.name === name);
    if (there === undefined) throw thrown;
    made = {
      id: there.id,
      operations: await unfinishedOperations(neon, projectId),
      isMine: there.annotations[MARK] === mark,
    };
  }
  await waitForOperations(neon, projectId, made.operations, { signal });
  await setBranchOutputs(existing, made.id, made.isMine, mask);
  return { status: 'succeeded', detail: `${made.isMine ? 'made' : 'found'} the branch ${name} (${made.id})` };
}

async function reset(
  existing: ExistingTenant,
  found: AnnotatedBranch | undefined,
  name: string,
  mask: (secret: string) => void,
): Promise<WorkResult> {
  const { neon, signal } = existing;
  const { projectId } = existing.project();
  if (found?.parentId === undefined) {
    throw new ExplainedError({
      message: `the project ${projectId} has no branch ${JSON.stringify(name)} to reset`,
      hint: '`branch-action: create` makes it, with what its parent holds now.',
    });
  }
  const { id, parentId } = found;
  const send = () => neon.manage.resetBranchToParent(projectId, id, parentId);
  let operations: readonly Operation[];
  try {
    operations = await send();
  } catch (thrown) {
    if (!(thrown instanceof NeonApiError && thrown.mayHaveBeenCarriedOut)) throw thrown;
    // To be reset twice in a row is to be reset.
    await waitForOperations(neon, projectId, await unfinishedOperations(neon, projectId), { signal });
    operations = await send();
  }
  await waitForOperations(neon, projectId, operations, { signal });
  await setBranchOutputs(existing, id, false, mask);
  return { status: 'succeeded', detail: `reset ${name} to what its parent holds` };
}

async function remove(existing: ExistingTenant, found: AnnotatedBranch | undefined, name: string): Promise<WorkResult> {
  const { neon, signal } = existing;
  const { projectId } = existing.project();
  if (found === undefined) {
    return { status: 'unchanged', reason: 'up-to-date', detail: `there is no branch ${name}` };
  }
  await waitForOperations(neon, projectId, await neon.deleteBranch(projectId, found.id), { signal });
  core.setOutput('branch-id', found.id);
  return { status: 'succeeded', detail: `deleted the branch ${name} (${found.id})` };
}

/** What Neon's own action for branches gives as well. The URIs are secrets. */
async function setBranchOutputs(
  { neon, tenant, project: find }: ExistingTenant,
  branchId: string,
  created: boolean,
  mask: (secret: string) => void,
): Promise<void> {
  const project = find();
  const { projectId } = project;
  const found = await findDatabase(neon, { ...tenantOf(project, tenant.settings), branch: branchId });
  const pooled = await neon.connectionUri({ ...found, projectId, branchId, pooled: true });
  core.setOutput('branch-id', branchId);
  core.setOutput('project-id', projectId);
  core.setOutput('created', created);
  core.setOutput('host', parseConnectionUri(found.uri).host);
  core.setOutput('database', found.database);
  core.setOutput('role', found.role);
  if (!process.env['GITHUB_OUTPUT']) {
    core.warning(
      `The URIs for ${hostOf(found.uri)} are not set: GITHUB_OUTPUT names no file, and they would be printed.`,
    );
    return;
  }
  for (const [output, uri] of [
    ['connection-uri', found.uri],
    ['connection-uri-pooled', pooled],
  ] as const) {
    mask(uri);
    core.setOutput(output, uri);
  }
}
