import * as core from '@actions/core';
import {
  logTenant,
  openNeonFor,
  printable,
  publishRun,
  setSecretOutput,
  type ActionContext,
} from '@neon-fleet/shared/actions';
import { explain } from '@neon-fleet/shared/errors';
import {
  tenantOf,
  workThroughTenants,
  type Tenant,
  type TenantResult,
  type WorkContext,
} from '@neon-fleet/shared/fleet';
import { findDatabase } from '@neon-fleet/shared/neon';

import type { RestoreValues } from '../inputs.js';
import { makeBranchTarget } from '../restore/beside.js';
import { isRefusedMoment, restoreInstantly } from '../restore/instant.js';
import { openMigrations, type BringToCurrent } from '../restore/migrate-restored.js';
import { makeTarget } from '../restore/new-project.js';
import { tellMade } from '../restore/outputs.js';
import { restoreInto } from '../restore/restore-into.js';
import { openRestoreSurroundings, type RestoreSurroundings } from '../restore/surroundings.js';
import { findWay, gapWords, type DumpWay, type Way } from '../restore/way.js';
import { archive } from '../storage/archive.js';
import { findBackup } from '../storage/find-backup.js';
import { normalisePrefix } from '../storage/keys.js';
import type { Manifest } from '../storage/manifest.js';
import { openStorage } from '../storage/storage.js';

/** `command: restore` of one tenant: the very moment out of Neon's history, or a backup out of S3. */
export async function restore(values: RestoreValues, context: ActionContext): Promise<void> {
  const { signal } = context.stop;
  const store = openStorage(values, process.env);
  await using surroundings = await openRestoreSurroundings(process.env, signal, (line) => core.info(printable(line)));
  const migrate = await openMigrations(values, values.migrateTo, surroundings.authorities);
  const way = await findWay(values, {
    neon: () => neonFor(values, context),
    findBackup: (wanted) =>
      findBackup(store, wanted, {
        prefix: normalisePrefix(values.s3Prefix),
        signal,
        onNote: (line) => core.warning(printable(line)),
      }),
    now: context.startedAt,
  });
  tellWay(way, values);

  const passwords = new Map<string, string>();
  const scene: Scene = { values, context, store, surroundings, migrate, passwords };
  const outcomes = await workThroughTenants({
    tenants: [tenantOfWay(way, values)],
    concurrency: 1,
    signal,
    onOutcome: logTenant,
    work: (_, work) => (way.kind === 'instant' ? goInstantly(way, scene, work) : goByDump(way, scene, work)),
  });
  if (passwords.size > 0) setSecretOutput('role-passwords', JSON.stringify(Object.fromEntries(passwords)));
  const report = await publishRun({
    action: 'backup',
    command: 'restore',
    startedAt: context.startedAt,
    outcomes,
    allowSkipped: values.allowSkipped,
  });
  await archive(values, report);
}

/** What a restore is carried out with. */
interface Scene {
  readonly values: RestoreValues;
  readonly context: ActionContext;
  readonly store: ReturnType<typeof openStorage>;
  readonly surroundings: RestoreSurroundings;
  readonly migrate: BringToCurrent;
  /** Of the roles that were made. */
  readonly passwords: Map<string, string>;
}

function neonFor(values: RestoreValues, context: ActionContext): ReturnType<typeof openNeonFor> {
  return openNeonFor({ ...values, neonApiKey: values.neonApiKey ?? '' }, context);
}

function tellWay(way: Way, { at }: RestoreValues): void {
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
  const neon = neonFor(values, context);
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
  const { values, context, store, surroundings, migrate, passwords } = scene;
  const { manifest, place } = way;
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
  { values, context }: Scene,
  signal: AbortSignal,
): Promise<string> {
  if (place.kind === 'url') return values.targetUrl ?? '';
  const neon = neonFor(values, context);
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

/** Whom the report is about: the project as Neon has it, or the tenant as its manifest has it. */
function tenantOfWay(way: Way, values: RestoreValues): Tenant {
  return way.kind === 'instant' ? tenantOf(way.project, values) : tenantOfManifest(way.manifest);
}

export function tenantOfManifest({ projectId, name, database, role }: Manifest): Tenant {
  return { key: name, projectId, name, database, role, assumed: { database: false, role: false }, labels: {} };
}
