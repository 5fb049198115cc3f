import type { DefaultEndpointSettings, ProjectSettingsData } from '@neondatabase/api-client';
import type { BranchRecord, DatabaseRecord, EndpointRecord, ProjectRecord, RoleRecord } from './model.js';
import { newId, newPassword, newProjectId, physicalName } from './names.js';

/** What distinguishes a new project; everything else has Neon's defaults. */
export interface NewProject {
  readonly name?: string | undefined;
  readonly regionId?: string | undefined;
  readonly pgVersion?: number | undefined;
  readonly storePasswords?: boolean | undefined;
  readonly settings?: ProjectSettingsData | undefined;
  readonly defaultEndpointSettings?: DefaultEndpointSettings | undefined;
  readonly historyRetentionSeconds?: number | undefined;
  readonly branchName?: string | undefined;
  readonly roleName?: string | undefined;
  readonly databaseName?: string | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

const DEFAULT_REGION = 'aws-us-east-1';
const DEFAULT_PG_VERSION = 17;
const DEFAULT_HISTORY_S = 86_400;

/** All projects of the account, in the order of their creation. */
export class Store {
  readonly #byId = new Map<string, ProjectRecord>();
  /** Ascending by sequence; deleted projects stay, as they can be recovered. */
  readonly #inOrder: ProjectRecord[] = [];
  #sequence = 0;
  #databaseId = 1000;

  get size(): number {
    return this.#byId.size;
  }

  /** A project that has not been deleted. */
  get(id: string): ProjectRecord | undefined {
    const project = this.#byId.get(id);
    return project?.deletedAt === undefined ? project : undefined;
  }

  getDeleted(id: string): ProjectRecord | undefined {
    const project = this.#byId.get(id);
    return project?.deletedAt === undefined ? undefined : project;
  }

  all(): readonly ProjectRecord[] {
    return this.#inOrder.filter((project) => project.deletedAt === undefined);
  }

  /** Up to `limit` projects that come after `sequence` and that `accept` takes. */
  after(sequence: number, limit: number, accept: (project: ProjectRecord) => boolean): ProjectRecord[] {
    const found: ProjectRecord[] = [];
    for (let index = this.#firstAfter(sequence); index < this.#inOrder.length && found.length < limit; index++) {
      const project = this.#inOrder[index];
      if (project && accept(project)) found.push(project);
    }
    return found;
  }

  #firstAfter(sequence: number): number {
    let low = 0;
    let high = this.#inOrder.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#inOrder[middle]?.sequence ?? 0) > sequence) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** Adds a project with one branch, one idle endpoint, one role and one database, none of them in the real server yet. */
  create(request: NewProject, now: number): ProjectRecord {
    let id = newProjectId();
    while (this.#byId.has(id)) id = newProjectId();
    const project: ProjectRecord = {
      sequence: ++this.#sequence,
      id,
      name: request.name ?? id,
      regionId: request.regionId ?? DEFAULT_REGION,
      pgVersion: request.pgVersion ?? DEFAULT_PG_VERSION,
      storePasswords: request.storePasswords ?? true,
      settings: request.settings,
      defaultEndpointSettings: request.defaultEndpointSettings,
      historyRetentionSeconds: request.historyRetentionSeconds ?? DEFAULT_HISTORY_S,
      createdAt: now,
      updatedAt: now,
      computeLastActiveAt: undefined,
      deletedAt: undefined,
      branches: new Map(),
      endpoints: new Map(),
      roles: new Map(),
      operations: [],
      busy: false,
    };
    const role = this.newRole(project, request.roleName ?? 'neondb_owner', now);
    const branch = this.newBranch(project, request.branchName ?? 'main', now);
    branch.default = true;
    branch.annotations = request.annotations;
    this.newDatabase(project, branch, request.databaseName ?? 'neondb', role.name, now);
    this.newEndpoint(project, branch, 'read_write', now);
    this.#byId.set(id, project);
    this.#inOrder.push(project);
    return project;
  }

  newRole(project: ProjectRecord, name: string, now: number, noLogin = false): RoleRecord {
    const role: RoleRecord = {
      name,
      password: newPassword(),
      noLogin,
      protected: false,
      createdAt: now,
      updatedAt: now,
      physicalName: physicalName(project.id, name),
      exists: false,
    };
    project.roles.set(name, role);
    return role;
  }

  newBranch(project: ProjectRecord, name: string, now: number): BranchRecord {
    const branch: BranchRecord = {
      id: newId('br'),
      name,
      parentId: undefined,
      parentLsn: undefined,
      parentTimestamp: undefined,
      default: false,
      protected: false,
      expiresAt: undefined,
      lastResetAt: undefined,
      restoredFrom: undefined,
      createdAt: now,
      updatedAt: now,
      annotations: undefined,
      databases: new Map(),
      states: [],
    };
    project.branches.set(branch.id, branch);
    return branch;
  }

  /** A database record that belongs to no branch yet. */
  looseDatabase(project: ProjectRecord, name: string, ownerName: string, now: number): DatabaseRecord {
    const id = ++this.#databaseId;
    const named = physicalName(project.id, name, id);
    return { id, name, ownerName, createdAt: now, updatedAt: now, physicalName: named, exists: false };
  }

  newDatabase(project: ProjectRecord, branch: BranchRecord, name: string, owner: string, now: number): DatabaseRecord {
    const database = this.looseDatabase(project, name, owner, now);
    branch.databases.set(name, database);
    return database;
  }

  newEndpoint(
    project: ProjectRecord,
    branch: BranchRecord,
    type: 'read_write' | 'read_only',
    now: number,
    name?: string,
  ): EndpointRecord {
    const defaults = project.defaultEndpointSettings;
    const endpoint: EndpointRecord = {
      id: newId('ep'),
      branchId: branch.id,
      type,
      name,
      minCu: defaults?.autoscaling_limit_min_cu ?? 0.25,
      maxCu: defaults?.autoscaling_limit_max_cu ?? 2,
      suspendTimeoutSeconds: defaults?.suspend_timeout_seconds ?? 0,
      settings: defaults?.pg_settings ? { pg_settings: defaults.pg_settings } : {},
      disabled: false,
      createdAt: now,
      updatedAt: now,
      activeAt: undefined,
      startedAt: undefined,
      suspendedAt: undefined,
      lastActiveAt: undefined,
      connections: 0,
    };
    project.endpoints.set(endpoint.id, endpoint);
    return endpoint;
  }
}

/** The branch that a project's users get when they name none. */
export function defaultBranch(project: ProjectRecord): BranchRecord {
  for (const branch of project.branches.values()) if (branch.default) return branch;
  throw new Error(`project ${project.id} has no default branch`);
}

/** The endpoint through which a branch is written, if it has one. */
export function writeEndpoint(project: ProjectRecord, branchId: string): EndpointRecord | undefined {
  for (const endpoint of project.endpoints.values()) {
    if (endpoint.branchId === branchId && endpoint.type === 'read_write') return endpoint;
  }
  return undefined;
}
