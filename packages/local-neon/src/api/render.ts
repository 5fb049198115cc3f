import { computeState, suspendedAt } from '../state/compute.js';
import type {
  BranchRecord,
  DatabaseRecord,
  EndpointRecord,
  OperationRecord,
  ProjectRecord,
  RoleRecord,
} from '../state/model.js';
import { operationStatus } from '../state/operations.js';
import type { World } from './world.js';

/* The records in the shapes of the API. */

const time = (ms: number) => new Date(ms).toISOString();
const timeIf = (key: string, ms: number | undefined) => (ms === undefined ? {} : { [key]: time(ms) });
const given = (key: string, value: unknown) => (value === undefined ? {} : { [key]: value });

const PROXY_HOST = 'localhost';
const LOGICAL_SIZE_LIMIT_MIB = 16_777_216;
const RECOVERABLE_MS = 7 * 86_400_000;

function projectBase(project: ProjectRecord, orgId: string) {
  return {
    id: project.id,
    platform_id: project.regionId.split('-')[0] ?? 'aws',
    region_id: project.regionId,
    name: project.name,
    provisioner: 'k8s-neonvm',
    default_endpoint_settings: {
      autoscaling_limit_min_cu: 0.25,
      autoscaling_limit_max_cu: 2,
      suspend_timeout_seconds: 0,
      ...project.defaultEndpointSettings,
    },
    settings: {
      allowed_ips: { ips: [], protected_branches_only: false },
      enable_logical_replication: false,
      block_public_connections: false,
      block_vpc_connections: false,
      hipaa: false,
      ...project.settings,
    },
    pg_version: project.pgVersion,
    proxy_host: PROXY_HOST,
    branch_logical_size_limit: LOGICAL_SIZE_LIMIT_MIB,
    branch_logical_size_limit_bytes: LOGICAL_SIZE_LIMIT_MIB * 1_048_576,
    store_passwords: project.storePasswords,
    cpu_used_sec: 0,
    creation_source: 'console',
    history_retention_seconds: project.historyRetentionSeconds,
    created_at: time(project.createdAt),
    updated_at: time(project.updatedAt),
    synthetic_storage_size: 0,
    owner_id: orgId,
    org_id: orgId,
    ...timeIf('compute_last_active_at', project.computeLastActiveAt),
  };
}

/** As in lists of projects. */
export function projectListItem(project: ProjectRecord, orgId: string) {
  return {
    ...projectBase(project, orgId),
    active_time: 0,
    ...timeIf('deleted_at', project.deletedAt),
    ...timeIf('recoverable_until', project.deletedAt === undefined ? undefined : project.deletedAt + RECOVERABLE_MS),
  };
}

/** Last moment at which a deleted project can be brought back. */
export const recoverableUntil = (deletedAt: number) => deletedAt + RECOVERABLE_MS;

export function projectBody(project: ProjectRecord, orgId: string) {
  const now = new Date();
  return {
    ...projectBase(project, orgId),
    data_storage_bytes_hour: 0,
    data_transfer_bytes: 0,
    written_data_bytes: 0,
    compute_time_seconds: 0,
    active_time_seconds: 0,
    consumption_period_start: new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), 1)).toISOString(),
    consumption_period_end: new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1, 1)).toISOString(),
  };
}

export interface BranchLook {
  readonly logicalSize?: number;
  /** Whether the whole project is to look as if it were still being made. */
  readonly creating?: boolean;
}

export function branchBody(project: ProjectRecord, branch: BranchRecord, { logicalSize, creating }: BranchLook = {}) {
  return {
    id: branch.id,
    project_id: project.id,
    ...given('parent_id', branch.parentId),
    ...given('parent_lsn', branch.parentLsn),
    ...timeIf('parent_timestamp', branch.parentTimestamp),
    name: branch.name,
    current_state: creating === true ? 'init' : branchState(project, branch),
    state_changed_at: time(branch.updatedAt),
    ...given('logical_size', logicalSize),
    creation_source: 'console',
    primary: branch.default,
    default: branch.default,
    protected: branch.protected,
    cpu_used_sec: 0,
    compute_time_seconds: 0,
    active_time_seconds: 0,
    written_data_bytes: 0,
    data_transfer_bytes: 0,
    created_at: time(branch.createdAt),
    updated_at: time(branch.updatedAt),
    ...timeIf('expires_at', branch.expiresAt),
    ...timeIf('last_reset_at', branch.lastResetAt),
    ...given('restored_from', branch.restoredFrom),
    init_source: 'parent-data',
  };
}

/** A branch can be used once what makes or restores it has ended. */
function branchState(project: ProjectRecord, branch: BranchRecord): 'init' | 'resetting' | 'ready' {
  const isBeingMade = project.operations.some(
    ({ branchId, action, endsAt }) =>
      branchId === branch.id && (action === 'create_timeline' || action === 'create_branch') && Date.now() < endsAt,
  );
  if (!isBeingMade) return 'ready';
  return branch.lastResetAt === undefined ? 'init' : 'resetting';
}

export function annotation(branch: BranchRecord) {
  return {
    object: { type: 'console/branch', id: branch.id },
    value: branch.annotations ?? {},
    created_at: time(branch.createdAt),
    updated_at: time(branch.updatedAt),
  };
}

/** The endpoint listens from now on, as this gives its host away. */
export async function endpointBody(world: World, project: ProjectRecord, endpoint: EndpointRecord) {
  const now = Date.now();
  return {
    host: await world.gateway.host(project, endpoint, 'direct'),
    id: endpoint.id,
    ...given('name', endpoint.name),
    project_id: project.id,
    branch_id: endpoint.branchId,
    autoscaling_limit_min_cu: endpoint.minCu,
    autoscaling_limit_max_cu: endpoint.maxCu,
    region_id: project.regionId,
    type: endpoint.type,
    current_state: computeState(endpoint, now),
    settings: endpoint.settings,
    pooler_enabled: false,
    pooler_mode: 'transaction',
    disabled: endpoint.disabled,
    passwordless_access: true,
    ...timeIf('last_active', endpoint.lastActiveAt),
    creation_source: 'console',
    created_at: time(endpoint.createdAt),
    updated_at: time(endpoint.updatedAt),
    ...timeIf('started_at', endpoint.startedAt),
    ...timeIf('suspended_at', suspendedAt(endpoint, now)),
    proxy_host: PROXY_HOST,
    suspend_timeout_seconds: endpoint.suspendTimeoutSeconds,
    provisioner: 'k8s-neonvm',
  };
}

export function roleBody(branch: BranchRecord, role: RoleRecord, withPassword = false) {
  return {
    branch_id: branch.id,
    name: role.name,
    ...(withPassword && !role.noLogin ? { password: role.password } : {}),
    protected: role.protected,
    created_at: time(role.createdAt),
    updated_at: time(role.updatedAt),
  };
}

export function databaseBody(branch: BranchRecord, database: DatabaseRecord) {
  return {
    id: database.id,
    branch_id: branch.id,
    name: database.name,
    owner_name: database.ownerName,
    created_at: time(database.createdAt),
    updated_at: time(database.updatedAt),
  };
}

export function operationBody(project: ProjectRecord, operation: OperationRecord, now = Date.now()) {
  const status = operationStatus(operation, now);
  const updatedAt =
    status === 'scheduling' ? operation.createdAt : status === 'running' ? operation.runsAt : operation.endsAt;
  return {
    id: operation.id,
    project_id: project.id,
    ...given('branch_id', operation.branchId),
    ...given('endpoint_id', operation.endpointId),
    action: operation.action,
    status,
    ...(status === 'failed' ? { error: operation.error } : {}),
    failures_count: status === 'failed' ? 1 : 0,
    created_at: time(operation.createdAt),
    updated_at: time(updatedAt),
    total_duration_ms: Math.round(updatedAt - operation.createdAt),
  };
}

/** A connection URI as Neon writes it. */
export function connectionUri(host: string, role: RoleRecord, database: string): string {
  const credentials = `${encodeURIComponent(role.name)}:${encodeURIComponent(role.password)}`;
  return `postgresql://${credentials}@${host}/${encodeURIComponent(database)}?sslmode=require&channel_binding=require`;
}

/** Connection details of an endpoint, for each database of its branch. */
export async function connectionDetails(
  world: World,
  project: ProjectRecord,
  branch: BranchRecord,
  endpoint: EndpointRecord,
) {
  const host = await world.gateway.host(project, endpoint, 'direct');
  const poolerHost = await world.gateway.host(project, endpoint, 'pooled');
  return [...branch.databases.values()].flatMap((database) => {
    const role = project.roles.get(database.ownerName);
    if (!role) return [];
    const parameters = {
      database: database.name,
      password: role.password,
      role: role.name,
      host,
      pooler_host: poolerHost,
    };
    return [{ connection_uri: connectionUri(host, role, database.name), connection_parameters: parameters }];
  });
}
