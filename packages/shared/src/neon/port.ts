import type { OperationAnswer } from './answers.js';
import type { ProjectListing, ProjectRef } from './projects.js';

/** What a new project is made from; what is absent is left to Neon. */
export interface NewProject {
  readonly name: string;
  readonly regionId?: string;
  readonly pgVersion?: number;
  readonly branch?: string;
  readonly database?: string;
  readonly role?: string;
}

/** Neon's answer to a creation: what it will be once its operations have finished. */
export interface CreatedProject {
  readonly project: ProjectRef;
  readonly operations: readonly Operation[];
}

/** A unit of Neon's asynchronous work on a project. */
export type Operation = Readonly<OperationAnswer>;

export interface Branch {
  readonly id: string;
  readonly name: string;
  readonly isDefault: boolean;
  readonly isProtected?: boolean;
  readonly parentId?: string;
  readonly createdAt?: string;
  /** `init` while it is being made, `resetting` while it is being restored; `ready` otherwise, or `archived`. */
  readonly state?: string;
}

/** A copy of a branch, with no compute of its own. */
export interface NewBranch {
  readonly projectId: string;
  /** Unique within the project. */
  readonly name: string;
  /** Default: the default branch. */
  readonly parentId?: string;
  /** The position in the parent's log that it starts from; default: where the parent is now. */
  readonly parentLsn?: string;
  /** ISO time after which Neon deletes it. */
  readonly expiresAt?: string;
}

/** An instant restore: the branch is given what the source held at a moment, under its own id and endpoints. */
export interface BranchRestore {
  readonly projectId: string;
  readonly branchId: string;
  /** May be the branch itself; then a moment is needed. */
  readonly sourceBranchId: string;
  /** A position in the source's log, or else an ISO time; without either, what it holds now. */
  readonly sourceLsn?: string;
  readonly sourceTimestamp?: string;
  /** Under this name what the branch holds now is kept, as a branch of its own. Unique within the project. */
  readonly preserveUnderName: string;
}

/** A branch after a change to it; ready once the operations have ended. */
export interface ChangedBranch {
  readonly branch: Branch;
  readonly operations: readonly Operation[];
}

/** What a branch is reached through. */
export interface Compute {
  readonly id: string;
  /** Suspended, and not about to start. */
  readonly isAsleep: boolean;
}

export interface Database {
  readonly name: string;
  readonly owner: string;
}

/** Which of a project's databases a connection URI is for. */
export interface ConnectionRequest {
  readonly projectId: string;
  readonly database: string;
  readonly role: string;
  readonly branchId?: string;
  readonly pooled?: boolean;
}

/** The port to the Neon API: what the project asks of it, in the project's own terms. */
export interface Neon {
  /** Lists every project the key can see, to the last page; `search` narrows it by part of a name or id. */
  listProjects(search?: string): Promise<ProjectListing>;
  getProject(projectId: string): Promise<ProjectRef>;
  createProject(project: NewProject): Promise<CreatedProject>;
  listBranches(projectId: string): Promise<Branch[]>;
  getBranch(projectId: string, branchId: string): Promise<Branch>;
  /** @throws ExplainedError when the project has none yet. */
  defaultBranch(projectId: string): Promise<Branch>;
  /** Gives the id of the branch that an endpoint belongs to. @throws ExplainedError when no endpoint has that host. */
  branchOfHost(projectId: string, host: string): Promise<string>;
  /** The compute that a host (with its port, when it has one) leads to; undefined when there is none. */
  computeOfHost(projectId: string, host: string): Promise<Compute | undefined>;
  /** Suspends a compute, which ends its connections. When the answer is lost it is looked at, and nothing is sent twice. */
  suspendCompute(projectId: string, computeId: string): Promise<void>;
  /**
   * Makes a branch. When the answer is lost, it is looked for and never made twice.
   *
   * @throws BranchExistsError when there is one of that name that somebody else made.
   */
  createBranch(branch: NewBranch): Promise<ChangedBranch>;
  /** Deletes a branch; one that is not there any more counts as deleted. Gives the operations that are to end. */
  deleteBranch(projectId: string, branchId: string): Promise<readonly Operation[]>;
  /**
   * Restores a branch, which ends its connections. When the answer is lost, it is looked whether the old state has been
   * kept, and nothing is restored twice.
   *
   * @throws BranchExistsError, before anything is changed, when the name to keep the old state under is taken.
   */
  restoreBranch(restore: BranchRestore): Promise<ChangedBranch>;
  listDatabases(projectId: string, branchId: string): Promise<Database[]>;
  listOperations(projectId: string): Promise<Operation[]>;
  getOperation(projectId: string, operationId: string): Promise<Operation>;
  /** Gives a URI with password. It is handed to `onSecret` before anything else sees it. */
  connectionUri(request: ConnectionRequest): Promise<string>;
}
