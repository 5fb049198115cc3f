import { ExplainedError } from '@neon-fleet/shared/errors';
import type { DesiredTenant } from '@neon-fleet/shared/fleet';
import type { Branch, Neon, ProjectRef } from '@neon-fleet/shared/neon';

import { ageWords } from '../words/ages.js';
import type { FoundBackup } from '../storage/find-anywhere.js';
import type { WantedBackup } from '../storage/find-backup.js';
import { chooseDoor } from './door.js';
import { branchOfTenant, findProject } from './find-project.js';

/** Where a restore goes to. */
export type Place =
  | { readonly kind: 'url' }
  | { readonly kind: 'branch'; readonly project: ProjectRef; readonly parent: Branch }
  | { readonly kind: 'new-project' };

/** How a tenant is brought back. */
export type Way =
  | {
      readonly kind: 'instant';
      readonly project: ProjectRef;
      readonly parent: Branch;
      readonly moment: Date;
      /** The way to the same moment should Neon refuse it. */
      readonly otherwise: () => Promise<DumpWay>;
    }
  | DumpWay;

export interface DumpWay extends Pick<FoundBackup, 'manifest' | 'store'> {
  readonly kind: 'dump';
  readonly place: Place;
  /** Why it is not the very moment that was asked for; empty when none was. */
  readonly why: string;
}

/** What of the inputs says which way to go. */
export interface WayInputs {
  readonly backup: string | undefined;
  readonly at: Date | undefined;
  readonly maxGap: number;
  readonly tenant: string | undefined;
  readonly database: string | undefined;
  readonly branch: string | undefined;
  readonly target: 'url' | 'branch' | 'new-project' | undefined;
  readonly targetUrl: string | undefined;
}

/** Where a tenant's data is: what the inputs say comes first, then what the fleet file says of it. */
export function asTheFileSays<T extends Partial<WhoAndWhere>>(inputs: T, member: DesiredTenant | undefined): T {
  if (member === undefined) return inputs;
  const { name, projectId, settings } = member;
  return {
    ...inputs,
    tenant: projectId ?? name,
    branch: inputs.branch ?? settings.branch,
    database: inputs.database ?? settings.database,
    role: inputs.role ?? settings.role,
  };
}

interface WhoAndWhere {
  readonly tenant: string | undefined;
  readonly branch: string | undefined;
  readonly database: string | undefined;
  readonly role: string | undefined;
}

/** What the way is looked for with. */
export interface WayFinder {
  /** Opens the Neon API; only asked where the target is to be made, so that a restore from S3 needs nothing else. */
  readonly neon: () => Pick<Neon, 'listProjects' | 'listBranches' | 'defaultBranch'>;
  readonly findBackup: (wanted: WantedBackup) => Promise<Pick<FoundBackup, 'manifest' | 'store'>>;
  readonly now: Date;
}

/**
 * Finds the better way to what was asked for: inside of the project's history that is Neon's own, which has every moment;
 * otherwise a dump, and why.
 *
 * @throws ExplainedError when there is none: no such backup, one that is too old, a project that is gone.
 */
export async function findWay(inputs: WayInputs, finder: WayFinder): Promise<Way> {
  const { at, target, targetUrl, tenant } = inputs;
  if (at !== undefined && at > finder.now) throw notYet(at);
  const place = target ?? (targetUrl === undefined ? undefined : 'url');
  if (place === 'url' || place === 'new-project') {
    const why = at === undefined ? '' : onlyABranch(place);
    return dumpWay(inputs, finder, { kind: place }, why);
  }
  if (at === undefined) return dumpBeside(inputs, finder);
  const neon = finder.neon();
  const project = await findProject(neon, tenant ?? '');
  if (project === undefined) return gone(inputs, finder, tenant ?? '');
  const parent = await branchOfTenant(neon, project.projectId, inputs.branch);
  const door = chooseDoor({
    moment: at,
    now: finder.now,
    projectCreatedAt: project.createdAt,
    retentionSeconds: project.historyRetentionSeconds,
    branch: parent,
  });
  const byDump = (why: string) => {
    const ofProject = { ...inputs, tenant: project.projectId };
    return dumpWay(ofProject, finder, { kind: 'branch', project, parent }, why);
  };
  if (door.kind === 'dump') return byDump(door.why);
  const otherwise = () => byDump('Neon refused the moment');
  return { kind: 'instant', project, parent, moment: at, otherwise };
}

/** A backup that was named, beside the project that it was made of. */
async function dumpBeside(inputs: WayInputs, finder: WayFinder): Promise<DumpWay> {
  const { manifest, store } = await finder.findBackup(wantedOf(inputs));
  const neon = finder.neon();
  const project = await findProject(neon, manifest.projectId);
  if (project === undefined) return gone(inputs, finder, manifest.projectId);
  const parent = await branchOfTenant(neon, project.projectId, inputs.branch);
  return { kind: 'dump', manifest, store, place: { kind: 'branch', project, parent }, why: '' };
}

async function gone(inputs: WayInputs, finder: WayFinder, tenant: string): Promise<DumpWay> {
  if (inputs.target === undefined) {
    return dumpWay(inputs, finder, { kind: 'new-project' }, inputs.at === undefined ? '' : 'the project is gone');
  }
  throw new ExplainedError({
    message: `the project of ${JSON.stringify(tenant)} is gone, or was not made yet: no branch of it can be made`,
    hint: 'Set target: new-project, or target-url. Within seven days of its deletion Neon can recover a project.',
  });
}

async function dumpWay(inputs: WayInputs, finder: WayFinder, place: Place, why: string): Promise<DumpWay> {
  const { manifest, store } = await finder.findBackup(wantedOf(inputs, why));
  return { kind: 'dump', manifest, store, place, why };
}

function wantedOf({ backup, at, maxGap, tenant = '', database }: WayInputs, why = ''): WantedBackup {
  if (at !== undefined) return { tenant, database, at: { moment: at, maxGapMs: maxGap, why } };
  return backup === undefined || backup === 'latest' ? { tenant, database } : { key: backup };
}

function onlyABranch(place: 'url' | 'new-project'): string {
  return `with target: ${place} it can only be a dump; target: branch restores the very moment while the project's history reaches back to it`;
}

function notYet(at: Date): ExplainedError {
  return new ExplainedError({
    message: `at: ${at.toISOString()} has not come yet; nothing was restored`,
    hint: 'Is the offset right? 11:45 in Berlin is 11:45+01:00 in winter and 11:45+02:00 in summer.',
  });
}

/** How far a dump is from the moment that was asked for, and why it is a dump; empty when no moment was. */
export function gapWords({ manifest, why }: DumpWay, at: Date | undefined): string {
  if (at === undefined) return '';
  const gapMs = at.getTime() - new Date(manifest.startedAt).getTime();
  return `; it is ${ageWords(gapMs)} older than ${at.toISOString()}: ${why}`;
}
