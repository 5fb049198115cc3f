import { randomUUID } from 'node:crypto';

import { ExplainedError } from '@neon-fleet/shared/errors';
import { isGreen, tenantOf, type DesiredTenant, type WorkResult } from '@neon-fleet/shared/fleet';
import { findDatabase, type FoundDatabase, type Management, type Neon, type ProjectRef } from '@neon-fleet/shared/neon';
import { parseConnectionUri } from '@neon-fleet/shared/postgres';

import { haveApplication, type ApplicationSettings, type ApplicationUris } from './application-role/tenant.js';
import { changesText, converge } from './converge.js';
import { findOrCreate } from './find-or-create.js';
import type { TenantSecrets } from './github/tenant-secrets.js';
import { ownershipOf } from './ownership.js';
import type { TenantStep } from './plan.js';
import { explainRefusal } from './preflight.js';
import { makeReady, type ReadyOptions } from './ready.js';
import { creationOf } from './settings.js';

/** A tenant that can be reached: what the outputs are made from. The URIs are secrets. */
export interface ProvisionedProject {
  readonly key: string;
  readonly name: string;
  readonly projectId: string;
  readonly created: boolean;
  /** Whether this run connected to it and brought its schema to the fleet's; else only its URI was asked for. */
  readonly ready: boolean;
  readonly host: string;
  readonly found: FoundDatabase;
  readonly pooledUri?: string;
  /** The connection of the application's role, in the run that gave it a password. */
  readonly application?: ApplicationUris;
  readonly regionId: string;
  readonly pgVersion: number;
}

/** Which tenants are made ready: reached, migrated, and given what they lack. */
export const READY_CHOICES = ['all', 'recent', 'created'] as const;
export type ReadyChoice = (typeof READY_CHOICES)[number];

export interface ProvisionOptions extends Omit<ReadyOptions, 'settings'>, ApplicationSettings {
  readonly ready: ReadyChoice;
  /** Whether somebody will want the URI of the pooler as well: one more call. */
  readonly pooled: boolean;
  readonly beforeCreation: (region: string | undefined) => Promise<void>;
  /** Called with the project's id as soon as it is known. */
  readonly onFound: (projectId: string) => void;
  /** Called again when more is known. */
  readonly onReachable: (project: ProvisionedProject) => void;
  readonly now: () => Date;
  readonly register?: Register | undefined;
  /** Where the tenant's URI is written as well. */
  readonly secrets?: TenantSecrets | undefined;
}

/** What the catalog does for a creation. */
export interface Register {
  /** Whether it has recorded that a project is ready; undefined when it does not know the project. */
  readonly isReady: (projectId: string) => boolean | undefined;
  /**
   * Does the work that may create a project as the only one that does for this key. It is given the project that
   * somebody else recorded meanwhile, and the attempt under which one may have been made already.
   */
  readonly alone: <T>(
    key: string,
    attempt: string,
    work: (attempt: string, recordedId: string | undefined) => Promise<T>,
  ) => Promise<T>;
  readonly created: (tenant: DesiredTenant, project: ProjectRef) => Promise<void>;
}

export type ManagedNeon = Neon & { readonly manage: Management };

/**
 * Carries out one step of the plan: makes sure that a tenant has its project, that it is set as desired, that it can be
 * reached, and that its schema is the fleet's. Every step looks before it acts, so that a run which was interrupted
 * anywhere is finished by the next one.
 */
export async function provisionTenant(
  neon: ManagedNeon,
  step: TenantStep,
  options: ProvisionOptions,
): Promise<WorkResult> {
  const { tenant } = step;
  if (step.step === 'refuse') throw new ExplainedError(step.error);
  const { project, created, changed } = await haveProject(neon, step, options);
  const { secrets } = options;
  const lacksSecret = secrets?.isMissing(tenant) === true;
  if (!created && !isToBeMadeReady(project, options)) {
    const { projectId } = project;
    if (lacksSecret) {
      const reached = await reach(neon, tenant, project, created, options);
      const provided = await haveApplication(reached, tenant, options);
      if (provided !== undefined) {
        options.onReachable(provided.reached);
        return { ...withHistory(provided.result, created, changed), projectId };
      }
      // A URI is a question to the API: nobody is woken for it.
      const name = await secrets.publish(tenant, reached.found.uri);
      return {
        projectId,
        status: 'succeeded',
        detail: `${changed === '' ? '' : `changed ${changed}; `}secret ${name} written`,
      };
    }
    const detail = changed === '' ? 'as it should be' : `changed ${changed}`;
    return changed === ''
      ? { projectId, status: 'unchanged', reason: 'up-to-date', detail }
      : { projectId, status: 'succeeded', detail };
  }
  const asFound = await reach(neon, tenant, project, created, options);
  options.onReachable(asFound);
  const ready = await makeReady(asFound.found.uri, { ...options, settings: tenant.settings });
  const reached = { ...asFound, ready: isGreen(ready.status) };
  options.onReachable(reached);
  const { projectId } = project;
  const provided = isGreen(ready.status) ? await haveApplication(reached, tenant, options) : undefined;
  if (provided !== undefined) {
    options.onReachable(provided.reached);
    return { ...withHistory(together(ready, provided.result), created, changed), projectId };
  }
  const result = withHistory(ready, created, changed);
  if (secrets === undefined || !isGreen(result.status)) return { ...result, projectId };
  // Also where there is one: it cannot be read, and may be that of a project or password that is no more.
  const detail = `${result.detail}; secret ${await secrets.publish(tenant, reached.found.uri)} written`;
  if (lacksSecret && result.status === 'unchanged') return { status: 'succeeded', detail, projectId };
  return { ...result, detail, projectId };
}

/** Two steps in a row as one: the second one's failure is that of both. */
function together(first: WorkResult, second: WorkResult): WorkResult {
  if (!isGreen(second.status)) return second;
  const detail = [first.detail, second.detail].filter((text) => text !== '').join('; ');
  if (second.status === 'unchanged') return { ...first, detail };
  return { status: 'succeeded', detail };
}

async function haveProject(
  neon: ManagedNeon,
  step: Exclude<TenantStep, { step: 'refuse' }>,
  options: ProvisionOptions,
): Promise<{ readonly project: ProjectRef; readonly created: boolean; readonly changed: string }> {
  const { signal, note } = options;
  switch (step.step) {
    case 'create': {
      const { project, created } = await create(neon, step.tenant, options);
      return { project, created, changed: '' };
    }
    case 'update': {
      const changes = await converge(neon, step.tenant, step.project, { signal, note });
      return { project: { ...step.project, name: step.tenant.name }, created: false, changed: changesText(changes) };
    }
    case 'unchanged':
      return { project: step.project, created: false, changed: '' };
  }
}

async function create(
  neon: ManagedNeon,
  desired: DesiredTenant,
  options: ProvisionOptions,
): Promise<{ readonly project: ProjectRef; readonly created: boolean }> {
  const { register } = options;
  const attempt = randomUUID();
  if (register === undefined) return createAs(neon, desired, attempt, options);
  return register.alone(desired.key, attempt, async (claimed, recordedId) => {
    const recorded = recordedId === undefined ? undefined : await findById(neon, recordedId);
    if (recorded !== undefined) return { project: recorded, created: false };
    const made = await createAs(neon, desired, claimed, options);
    await register.created(desired, made.project);
    return made;
  });
}

async function findById(neon: ManagedNeon, projectId: string): Promise<ProjectRef | undefined> {
  const { projects } = await neon.listProjects(projectId);
  return projects.find((project) => project.projectId === projectId);
}

async function createAs(neon: ManagedNeon, desired: DesiredTenant, attempt: string, options: ProvisionOptions) {
  const { signal, note, authorities } = options;
  const { region, postgres } = desired.settings;
  const wanted = {
    name: desired.name,
    ...(region === undefined ? {} : { regionId: region }),
    ...(postgres === undefined ? {} : { pgVersion: postgres }),
  };
  try {
    return await findOrCreate(
      {
        listProjects: (search) => neon.listProjects(search),
        listOperations: (projectId) => neon.listOperations(projectId),
        getOperation: (projectId, id) => neon.getOperation(projectId, id),
        createProject: async () => {
          await options.beforeCreation(region);
          return neon.manage.createProject(creationOf(desired, attempt));
        },
      },
      wanted,
      { signal, note, found: options.onFound, ownership: ownershipOf(neon, { desired, attempt, authorities, signal }) },
    );
  } catch (thrown) {
    throw explainRefusal(thrown);
  }
}

async function reach(
  neon: ManagedNeon,
  { key, settings }: DesiredTenant,
  project: ProjectRef,
  created: boolean,
  { pooled }: ProvisionOptions,
): Promise<ProvisionedProject> {
  const { projectId, name, regionId, pgVersion } = project;
  const found = await findDatabase(neon, tenantOf(project, settings));
  const { host } = parseConnectionUri(found.uri);
  const pooledUri = pooled ? await neon.connectionUri({ ...found, projectId, pooled }) : undefined;
  return {
    key,
    name,
    projectId,
    regionId,
    pgVersion,
    created,
    ready: false,
    host,
    found,
    ...(pooledUri === undefined ? {} : { pooledUri }),
  };
}

const RECENT_MS = 7 * 86_400_000;

/**
 * The catalog has recorded whether an earlier run finished a tenant. Without it nothing has, and asking each of them would
 * wake its compute: those that are young are asked.
 */
function isToBeMadeReady({ projectId, createdAt }: ProjectRef, { ready, now, register }: ProvisionOptions): boolean {
  if (ready !== 'recent') return ready === 'all';
  const isReady = register?.isReady(projectId);
  return isReady === undefined ? now().getTime() - Date.parse(createdAt) < RECENT_MS : !isReady;
}

function withHistory(result: WorkResult, created: boolean, changed: string): WorkResult {
  const before = created ? 'created' : changed === '' ? 'exists already' : `changed ${changed}`;
  const detail = `${before}; ${result.detail}`;
  // That the schema needed nothing does not mean that nothing was done.
  if (result.status === 'unchanged' && (created || changed !== '')) return { status: 'succeeded', detail };
  return { ...result, detail };
}
