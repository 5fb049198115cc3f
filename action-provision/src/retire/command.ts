import * as core from '@actions/core';
import { eventOf, openStorage, tellCatalog, type ActionContext } from '@neon-fleet/shared/actions';
import { placeFor } from '@neon-fleet/shared/backups';
import { ExplainedError } from '@neon-fleet/shared/errors';
import type { DesiredTenant, WorkResult } from '@neon-fleet/shared/fleet';
import { NeonApiError, type ProjectState } from '@neon-fleet/shared/neon';

import { workOnExisting, type ExistingTenant } from '../existing.js';
import type { ProvisionInputs } from '../inputs.js';
import { deleteOnce } from '../ownership.js';
import { findDeleted, findRetiree, type DeletedProject } from './find.js';
import { proveProject, type Proof } from './prove.js';
import { renderRetirement, whenWords } from './summary.js';

/** What became of the tenant: its project, and what proved that it could be given up (in this run, that is). */
interface Retired {
  readonly project: DeletedProject;
  readonly proof?: Proof;
}

/**
 * `retire`: deletes the project of one tenant that has left, once it is proven that every database has a good backup, and
 * then takes away its secret and closes it in the catalog. What was killed in between is finished by running it again.
 */
export async function retire(values: ProvisionInputs, context: ActionContext): Promise<void> {
  let retired: Retired | undefined;
  await workOnExisting(values, context, {
    ofOne: true,
    work: async (existing) => {
      const { tenant } = existing;
      assertMayGo(tenant, values.confirm);
      retired = await deleteProject(existing, values);
      return tidyUp(existing, retired);
    },
    news: (now) =>
      retired === undefined
        ? {}
        : {
            events: [eventOf('provision', 'retired', retired.project.projectId, now)],
            closures: [{ projectId: retired.project.projectId, status: 'retired', at: now.toISOString() }],
          },
    appendix: () => (retired === undefined ? '' : renderRetirement(retired.project, retired.proof)),
  });
  if (retired === undefined) return;
  const { projectId, recoverableUntil } = retired.project;
  core.setOutput('project-id', projectId);
  core.setOutput('recoverable-until', recoverableUntil ?? '');
}

/** @throws ExplainedError unless somebody has typed the key again, and the file does not protect the tenant. */
function assertMayGo({ key, settings }: DesiredTenant, confirm: string | undefined): void {
  if (confirm !== key) {
    throw new ExplainedError({
      message: `confirm is ${JSON.stringify(confirm)}, and the tenant's key is ${JSON.stringify(key)}; nothing was deleted`,
      hint: 'Set confirm to the key of the tenant whose project is to be deleted.',
    });
  }
  if (settings.protected !== true) return;
  throw new ExplainedError({
    message: `fleet.yml protects the tenant ${JSON.stringify(key)}; nothing was deleted`,
    hint: 'Whoever is sure takes `protected: true` out of fleet.yml first.',
  });
}

async function deleteProject(existing: ExistingTenant, values: ProvisionInputs): Promise<Retired> {
  const { neon, step, knownId } = existing;
  const retiree = await findRetiree(neon.manage, step, knownId);
  if (retiree.is === 'deleted') return { project: retiree.project };
  const { projectId, name } = retiree.project;
  try {
    return await proveAndDelete(existing, retiree.project, values);
  } catch (thrown) {
    if (!(thrown instanceof NeonApiError && thrown.status === 404 && thrown.isNeonsAnswer)) throw thrown;
    // Another run was faster: it had its own proof.
    const deleted = await findDeleted(neon.manage, { id: projectId, name });
    if (deleted === undefined) throw thrown;
    return { project: deleted };
  }
}

async function proveAndDelete(
  { neon, tenant, signal, note, found }: ExistingTenant,
  { projectId, name }: ProjectState,
  values: ProvisionInputs,
): Promise<Retired> {
  const { s3Bucket, catalogUrl } = values;
  // The inputs were checked for it; said once more for the compiler.
  if (s3Bucket === undefined) throw new Error('s3-bucket is needed');
  found(projectId);
  const place = placeFor({ ...values, s3Bucket }, tenant.settings.backup);
  const store = openStorage({ ...values, s3Bucket }, process.env, place);
  const proof = await proveProject(neon, { projectId }, tenant.settings.branch, {
    store,
    prefix: place.prefix,
    maxAgeMs: values.maxBackupAge,
    signal,
  });
  for (const { database, key } of proof.backups) note(`Proven: ${database} by ${key}`);
  const begun = [eventOf('provision', 'retirement-begun', projectId, new Date())];
  await tellCatalog(catalogUrl, { schemaVersion: 1, events: begun }, process.env, signal);
  signal.throwIfAborted();
  await deleteOnce(neon.manage, projectId);
  note(`Deleted project ${projectId}`);
  const deleted = await findDeleted(neon.manage, { id: projectId, name });
  return { project: deleted ?? { projectId }, proof };
}

/** What is left to do once the project is gone; all of it may be done again. */
async function tidyUp({ tenant, secrets }: ExistingTenant, { project, proof }: Retired): Promise<WorkResult> {
  const { projectId } = project;
  const hadSecret = secrets?.isMissing(tenant) === false;
  const secret = secrets === undefined ? undefined : await secrets.remove(tenant);
  const done = [
    `${proof === undefined ? 'was deleted already' : 'deleted'}; ${whenWords(project)}`,
    ...(hadSecret ? [`secret ${secret ?? ''} removed`] : []),
    'take it out of fleet.yml, if it is there',
  ];
  const detail = done.join('; ');
  if (proof === undefined && !hadSecret) return { projectId, status: 'unchanged', reason: 'up-to-date', detail };
  return { projectId, status: 'succeeded', detail };
}
