import type { Faults } from '../faults/faults.js';
import type { PhysicalDatabases } from '../postgres/databases.js';
import type { Gateway } from '../postgres/gateway.js';
import type {
  BranchRecord,
  DatabaseRecord,
  EndpointRecord,
  OperationRecord,
  ProjectRecord,
  RoleRecord,
} from '../state/model.js';
import { planOperations, type Step } from '../state/operations.js';
import { defaultBranch, type Store } from '../state/store.js';
import { notFound } from './errors.js';

/** Everything that the operations of the API work on. */
export interface World {
  readonly store: Store;
  readonly gateway: Gateway;
  readonly databases: PhysicalDatabases;
  readonly faults: Faults;
  readonly orgId: string;
  /** How long the operations of one request take altogether, in milliseconds. */
  readonly operationMs: number;
}

/** A request that has been checked against the API's document. */
export interface Call {
  readonly operationId: string;
  readonly parameters: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, unknown>>;
  readonly body: unknown;
  readonly now: number;
  /** Set when a rule makes the operations of this request fail. */
  readonly operationError: string | undefined;
}

export interface Answer {
  readonly status: number;
  readonly body?: unknown;
}

/** One operation of the API. @throws ApiError for answers other than success */
export type Handler = (world: World, call: Call) => Answer | Promise<Answer>;

export type Handlers = Readonly<Record<string, Handler>>;

export const ok = (body: unknown): Answer => ({ status: 200, body });
export const created = (body: unknown): Answer => ({ status: 201, body });

/** The project that a request names. @throws ApiError 404 */
export function theProject(world: World, call: Call): ProjectRecord {
  const project = world.store.get(call.parameters['project_id'] ?? '');
  if (!project) throw notFound('PROJECT_NOT_FOUND', 'project');
  return project;
}

/** The branch that a request names. @throws ApiError 404 */
export function theBranch(project: ProjectRecord, call: Call): BranchRecord {
  return branchOf(project, call.parameters['branch_id']);
}

/** A branch by id; the default branch when no id is given. @throws ApiError 404 */
export function branchOf(project: ProjectRecord, id: string | undefined): BranchRecord {
  if (id === undefined) return defaultBranch(project);
  const branch = project.branches.get(id);
  if (!branch) throw notFound('BRANCH_NOT_FOUND', 'branch');
  return branch;
}

/** The endpoint that a request names. @throws ApiError 404 */
export function theEndpoint(project: ProjectRecord, call: Call): EndpointRecord {
  const endpoint = project.endpoints.get(call.parameters['endpoint_id'] ?? '');
  if (!endpoint) throw notFound('ENDPOINT_NOT_FOUND', 'endpoint');
  return endpoint;
}

export function databaseOf(branch: BranchRecord, name: string): DatabaseRecord {
  const database = branch.databases.get(name);
  if (!database) throw notFound('DATABASE_NOT_FOUND', 'database');
  return database;
}

export function roleOf(project: ProjectRecord, name: string): RoleRecord {
  const role = project.roles.get(name);
  if (!role) throw notFound('ROLE_NOT_FOUND', 'role');
  return role;
}

const OPERATIONS_KEPT = 200;

/** Sets the operations of a request going. */
export function schedule(world: World, call: Call, project: ProjectRecord, steps: readonly Step[]): OperationRecord[] {
  const operations = planOperations(steps, Date.now(), world.operationMs, call.operationError);
  project.operations.push(...operations);
  project.operations.splice(0, project.operations.length - OPERATIONS_KEPT);
  return operations;
}

/** Ends the connections to a branch. */
export async function disconnectBranch(world: World, project: ProjectRecord, branchId: string): Promise<void> {
  for (const endpoint of project.endpoints.values()) {
    if (endpoint.branchId === branchId) await world.gateway.disconnect(endpoint.id);
  }
}
