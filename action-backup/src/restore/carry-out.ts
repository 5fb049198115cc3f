import * as core from '@actions/core';
import { openNeonFor, printable, type ActionContext } from '@neon-fleet/shared/actions';
import { explain } from '@neon-fleet/shared/errors';
import { tenantOf, type TenantResult, type WorkContext } from '@neon-fleet/shared/fleet';
import { findDatabase, type Neon } from '@neon-fleet/shared/neon';

import type { RestoreValues } from '../inputs.js';
import { makeBranchTarget } from './beside.js';
import { isRefusedMoment, restoreInstantly } from './instant.js';
import type { BringToCurrent } from './migrate-restored.js';
import { makeTarget } from './new-project.js';
import { tellMade } from './outputs.js';
import { restoreInto } from './restore-into.js';
import type { RestoreSurroundings } from './surroundings.js';
import { gapWords, type DumpWay, type Way } from './way.js';

/** What a restore is carried out with. */
export interface Scene {
  readonly values: RestoreValues;
  readonly context: Pick<ActionContext, 'mask' | 'stop'>;
  readonly surroundings: RestoreSurroundings;
  readonly migrate: BringToCurrent;
  /** Opens the Neon API when it is first asked for: with one budget for all of the restore. */
  readonly neon: () => Neon;
  /** Of the roles that were made. */
  readonly passwords: Map<string, string>;
}

/** Goes the way that was found; outputs are set as soon as they are known. */
export function carryOut(way: Way, scene: Scene, work: WorkContext): Promise<TenantResult> {
  return way.kind === 'instant' ? goInstantly(way, scene, work) : goByDump(way, scene, work);
}

/** The Neon API for a restore that makes its target; opened once. */
export function neonFor(values: RestoreValues, context: Pick<ActionContext, 'mask' | 'stop'>): () => Neon {
  let opened: Neon | undefined;
  return () => (opened ??= openNeonFor({ ...values, neonApiKey: values.neonApiKey ?? '' }, context));
}

/** Says in the log which way is gone, and why. */
export function tellWay(way: Way, { at }: RestoreValues): void {
  const words =
    way.kind === 'instant'
      ? `Restoring ${way.project.name} to ${way.moment.toISOString()} out of Neon's own history`
      : `Restoring ${way.manifest.key}, made ${way.manifest.finishedAt} of ${way.manifest.name}${gapWords(way, at)}`;
  core.info(printable(words));
}

async function goInstantly(way: Way & { kind: 'instant' }, scene: Scene, work: WorkContext): Promise<TenantResult> {
  const { values, context, migrate } = scene;
  const { project, parent, moment } = way;
  const { projectId } = project;
  const neon = scene.neon();
  let made: Awaited<ReturnType<typeof restoreInstantly>>;
  try {
    made = await restoreInstantly(neon, { projectId, parent, moment }, work.signal);
  } catch (thrown) {
    if (!isRefusedMoment(thrown)) throw thrown;
    core.warning(printable(`Neon does not restore to ${moment.toISOString()}: ${explain(thrown).message}`));
    const otherwise = await way.otherwise();
    tellWay(otherwise, values);
    return goByDump(otherwise, scene, work);
  }
  const { branch, wasThere } = made;
  // Whatever comes after: what was made is known.
  core.setOutput('branch-id', branch.id);
  const found = await findDatabase(neon, { ...tenantOf(project, values), branch: branch.id });
  core.setOutput('restored-by', 'instant');
  tellMade({ projectId, branchId: branch.id, database: found.database, uri: found.uri }, context.mask);
  const words = `instant restore: the branch ${branch.name} (${branch.id}) holds what ${parent.name} held at ${moment.toISOString()}`;
  const restored: TenantResult = wasThere
    ? {
        status: 'unchanged',
        reason: 'up-to-date',
        detail: `${words}; an earlier run made it, and what was written to it since is kept`,
      }
    : { status: 'succeeded', detail: words };
  return migrate(found.uri, restored, work);
}

async function goByDump(way: DumpWay, scene: Scene, work: WorkContext): Promise<TenantResult> {
  const { values, context, surroundings, migrate, passwords } = scene;
  const { manifest, store, place } = way;
  const targetUrl = await targetOf(way, scene, work.signal);
  const restored = await restoreInto(
    {
      ...values,
      targetUrl,
      mark: place.kind === 'branch',
      onPassword: context.mask,
      onRole: (role, password) => void passwords.set(role, password),
    },
    manifest,
    store,
    surroundings,
    work.signal,
  );
  if (restored.status === 'succeeded' || restored.status === 'unchanged') {
    core.setOutput('restored-by', 'dump');
    core.setOutput('restored-from', manifest.key);
  }
  return migrate(targetUrl, { ...restored, detail: restored.detail + gapWords(way, values.at) }, work);
}

/** The URI of the database to load into (a secret): as the inputs say, or of what is made for it. */
async function targetOf(
  { place, manifest }: DumpWay,
  { values, context, neon: openNeon }: Scene,
  signal: AbortSignal,
): Promise<string> {
  if (place.kind === 'url') return values.targetUrl ?? '';
  const neon = openNeon();
  if (place.kind === 'branch') {
    const { project, parent } = place;
    const made = await makeBranchTarget(neon, { projectId: project.projectId, parent }, manifest, signal);
    tellMade({ ...made, branchId: made.branch.id }, context.mask);
    core.info(printable(`${made.wasThere ? 'Found' : 'Made'} the branch ${made.branch.name} (${made.branch.id})`));
    return made.uri;
  }
  const made = await makeTarget(neon, manifest, signal);
  tellMade(made, context.mask);
  core.info(printable(`Made the project ${made.name} (${made.projectId})`));
  return made.uri;
}
