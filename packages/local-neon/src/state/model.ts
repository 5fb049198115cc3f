import type { DefaultEndpointSettings, ProjectSettingsData } from '@neondatabase/api-client';

/*
 * What the stand-in knows about its account. Times are milliseconds since the epoch. Nothing here is in the API's own
 * shape: `api/render.ts` makes that, so that ten thousand projects stay small.
 */

/** A database of a branch. */
export interface DatabaseRecord {
  readonly id: number;
  name: string;
  ownerName: string;
  readonly createdAt: number;
  updatedAt: number;
  /** Its name in the real server. */
  readonly physicalName: string;
  /** Whether the real server has it yet. */
  exists: boolean;
}

/** A role. The branches of a project share its roles, because the real server has one namespace for them. */
export interface RoleRecord {
  readonly name: string;
  password: string;
  readonly noLogin: boolean;
  readonly protected: boolean;
  readonly createdAt: number;
  updatedAt: number;
  readonly physicalName: string;
  exists: boolean;
}

/** A moment of a branch that can be restored: what its databases held then. */
export interface RecordedState {
  readonly lsn: string;
  readonly at: number;
  readonly databases: readonly DatabaseRecord[];
}

export interface BranchRecord {
  readonly id: string;
  name: string;
  parentId: string | undefined;
  parentLsn: string | undefined;
  parentTimestamp: number | undefined;
  default: boolean;
  protected: boolean;
  expiresAt: number | undefined;
  lastResetAt: number | undefined;
  restoredFrom: string | undefined;
  readonly createdAt: number;
  updatedAt: number;
  annotations: Readonly<Record<string, string>> | undefined;
  readonly databases: Map<string, DatabaseRecord>;
  readonly states: RecordedState[];
}

export interface EndpointRecord {
  readonly id: string;
  readonly branchId: string;
  readonly type: 'read_write' | 'read_only';
  readonly name: string | undefined;
  minCu: number;
  maxCu: number;
  /** As the API has it: 0 = default (300 s), −1 = never. */
  suspendTimeoutSeconds: number;
  settings: Readonly<Record<string, unknown>>;
  disabled: boolean;
  readonly createdAt: number;
  updatedAt: number;
  /** When a client was last heard, or the compute started; `undefined` while it is suspended. */
  activeAt: number | undefined;
  startedAt: number | undefined;
  suspendedAt: number | undefined;
  lastActiveAt: number | undefined;
  /** Open client connections. */
  connections: number;
}

export interface OperationRecord {
  readonly id: string;
  readonly action: string;
  readonly branchId: string | undefined;
  readonly endpointId: string | undefined;
  readonly createdAt: number;
  /** When it goes from `scheduling` to `running`. */
  readonly runsAt: number;
  /** When it ends. */
  readonly endsAt: number;
  /** Set when it ends as `failed`. */
  readonly error: string | undefined;
}

export interface ProjectRecord {
  /** Position in the list of projects; grows with each one. */
  readonly sequence: number;
  readonly id: string;
  name: string;
  readonly regionId: string;
  readonly pgVersion: number;
  readonly storePasswords: boolean;
  settings: ProjectSettingsData | undefined;
  defaultEndpointSettings: DefaultEndpointSettings | undefined;
  historyRetentionSeconds: number;
  readonly createdAt: number;
  updatedAt: number;
  computeLastActiveAt: number | undefined;
  deletedAt: number | undefined;
  readonly branches: Map<string, BranchRecord>;
  readonly endpoints: Map<string, EndpointRecord>;
  readonly roles: Map<string, RoleRecord>;
  readonly operations: OperationRecord[];
  /** True while a request changes the project. */
  busy: boolean;
}
