import {
  EndpointType,
  type Api,
  type DefaultEndpointSettings,
  type EndpointUpdateRequest,
  type ProjectCreateRequest,
  type ProjectSettingsData,
  type ProjectUpdateRequest,
} from '@neondatabase/api-client';
import { z } from 'zod';

import { operationSchema, projectSchema } from './answers.js';
import type { Operation } from './port.js';
import { readPages } from './pages.js';
import type { ProjectRef } from './projects.js';
import type { CallKind } from './retry.js';

/** The settings of a project as Neon names them, in seconds, bytes and compute units. What Neon does not tell is absent. */
export interface ProjectSettings {
  readonly defaultEndpointSettings: DefaultEndpointSettings;
  readonly settings: ProjectSettingsData;
  readonly historyRetentionSeconds?: number;
}

/** A project with the settings that the list of projects carries: no further call is needed to compare them. */
export type ProjectState = ProjectRef &
  ProjectSettings & {
    readonly recoverableUntil?: string;
    /** Data and history together, in bytes. */
    readonly storageBytes?: number;
    readonly lastActiveAt?: string;
  };

/** All projects with their settings, as far as Neon could tell. */
export interface StateListing {
  readonly projects: readonly ProjectState[];
  readonly unavailableProjectIds: readonly string[];
}

export type CreateRequest = ProjectCreateRequest['project'];
export type UpdateRequest = ProjectUpdateRequest['project'];
export type EndpointChange = EndpointUpdateRequest['endpoint'];

/** A compute of a project. */
export interface Endpoint {
  readonly id: string;
  readonly branchId: string;
  readonly isWriter: boolean;
  readonly minCu: number;
  readonly maxCu: number;
  readonly suspendTimeoutSeconds: number;
  readonly host: string;
}

/** A branch with the notes that were put on it when it was made. */
export interface AnnotatedBranch {
  readonly id: string;
  readonly name: string;
  readonly isDefault: boolean;
  readonly isProtected: boolean;
  readonly parentId?: string;
  readonly expiresAt?: string;
  readonly annotations: Readonly<Record<string, string>>;
}

/** A role with the password that a change of it gave; the password is a secret. */
export interface RoleWithPassword {
  readonly name: string;
  readonly password?: string;
  readonly operations: readonly Operation[];
}

/** What a new development branch is made from. */
export interface NewDevBranch {
  readonly name: string;
  readonly parentId?: string;
  readonly expiresAt?: string;
  /** Notes to find it by when the answer is lost. */
  readonly annotations?: Readonly<Record<string, string>>;
}

/** How much of something a project used in the period that was asked for, by metric. */
export type Consumption = Readonly<Record<string, number>>;

/** Which kind of key the API was asked with, and what its plan allows. */
export interface KeyDetails {
  readonly accountId: string;
  readonly method: 'organisation' | 'personal' | 'other';
}

/** The part of the Neon API that changes projects and what is around them. */
export interface Management {
  listStates(options?: { readonly search?: string; readonly deleted?: boolean }): Promise<StateListing>;
  createProject(
    request: CreateRequest,
  ): Promise<{ readonly project: ProjectState; readonly operations: readonly Operation[] }>;
  updateProject(projectId: string, request: UpdateRequest): Promise<readonly Operation[]>;
  /** Deletes a project; it can be recovered for 7 days. */
  deleteProject(projectId: string): Promise<void>;
  listEndpoints(projectId: string): Promise<Endpoint[]>;
  updateEndpoint(projectId: string, endpointId: string, change: EndpointChange): Promise<readonly Operation[]>;
  listAnnotatedBranches(projectId: string): Promise<AnnotatedBranch[]>;
  createDevBranch(
    projectId: string,
    branch: NewDevBranch,
  ): Promise<{ branch: AnnotatedBranch; operations: readonly Operation[] }>;
  resetBranchToParent(projectId: string, branchId: string, parentId: string): Promise<readonly Operation[]>;
  setBranchExpiry(projectId: string, branchId: string, expiresAt: string | null): Promise<readonly Operation[]>;
  deleteBranch(projectId: string, branchId: string): Promise<readonly Operation[]>;
  listRoles(projectId: string, branchId: string): Promise<string[]>;
  createRole(projectId: string, branchId: string, name: string): Promise<RoleWithPassword>;
  resetRolePassword(projectId: string, branchId: string, name: string): Promise<RoleWithPassword>;
  regions(): Promise<string[]>;
  keyDetails(): Promise<KeyDetails>;
  /** What each project used between two moments, by metric. Not every plan has it: HTTP 403 then. */
  consumption(
    orgId: string,
    metrics: readonly string[],
    from: Date,
    to: Date,
  ): Promise<ReadonlyMap<string, Consumption>>;
}

/** The means of the client: the official one, and a call with retries, limits and a checked answer around it. */
export interface ManagementCalls {
  readonly api: Api<unknown>;
  readonly orgId: string | undefined;
  readonly onSecret: (secret: string) => void;
  readonly call: <T>(
    operation: string,
    kind: CallKind,
    schema: z.ZodType<T>,
    send: (params: object) => Promise<{ readonly data: unknown }>,
  ) => Promise<T>;
}

const PROJECTS_A_PAGE = 400; // the most that the API gives
const CONSUMPTION_A_PAGE = 100; // the same

const quotaSchema = z.object({
  active_time_seconds: z.number().exactOptional(),
  compute_time_seconds: z.number().exactOptional(),
  written_data_bytes: z.number().exactOptional(),
  data_transfer_bytes: z.number().exactOptional(),
  logical_size_bytes: z.number().exactOptional(),
});

const stateSchema = projectSchema.extend({
  default_endpoint_settings: z
    .object({
      autoscaling_limit_min_cu: z.number().exactOptional(),
      autoscaling_limit_max_cu: z.number().exactOptional(),
      suspend_timeout_seconds: z.number().exactOptional(),
    })
    .nullish(),
  settings: z
    .object({
      quota: quotaSchema.nullish(),
      allowed_ips: z
        .object({ ips: z.array(z.string()).exactOptional(), protected_branches_only: z.boolean().exactOptional() })
        .nullish(),
      enable_logical_replication: z.boolean().nullish(),
      maintenance_window: z
        .object({ weekdays: z.array(z.number()), start_time: z.string(), end_time: z.string() })
        .nullish(),
    })
    .nullish(),
  history_retention_seconds: z.number().nullish(),
  recoverable_until: z.string().nullish(),
  synthetic_storage_size: z.number().nullish(),
  compute_last_active_at: z.string().nullish(),
});

const statePageSchema = z.object({
  projects: z.array(stateSchema),
  pagination: z.object({ cursor: z.string().optional() }).nullish(),
  unavailable_project_ids: z.array(z.string()).nullish(),
});

const operationsOnly = z.object({ operations: z.array(operationSchema).nullish() });

const createdSchema = z.object({
  project: stateSchema,
  operations: z.array(operationSchema),
  connection_uris: z.array(z.object({ connection_uri: z.string() })).nullish(),
});

const endpointsSchema = z.object({
  endpoints: z.array(
    z.object({
      id: z.string(),
      branch_id: z.string(),
      type: z.string(),
      host: z.string(),
      autoscaling_limit_min_cu: z.number(),
      autoscaling_limit_max_cu: z.number(),
      suspend_timeout_seconds: z.number(),
    }),
  ),
});

const branchSchema = z.object({
  id: z.string(),
  name: z.string(),
  default: z.boolean(),
  protected: z.boolean(),
  parent_id: z.string().nullish(),
  expires_at: z.string().nullish(),
});

const branchPageSchema = z.object({
  branches: z.array(branchSchema),
  annotations: z.record(z.string(), z.object({ value: z.record(z.string(), z.string()).nullish() })).nullish(),
  pagination: z.object({ next: z.string().optional() }).nullish(),
});

const changedBranchSchema = z.object({ branch: branchSchema, operations: z.array(operationSchema) });

const changedRoleSchema = z.object({
  role: z.object({ name: z.string(), password: z.string().nullish() }),
  operations: z.array(operationSchema),
});

const rolesSchema = z.object({ roles: z.array(z.object({ name: z.string() })) });
const regionsSchema = z.object({ regions: z.array(z.object({ region_id: z.string() })) });
const keySchema = z.object({ account_id: z.string(), auth_method: z.string() });

const consumptionSchema = z.object({
  projects: z.array(
    z.object({
      project_id: z.string(),
      periods: z.array(
        z.object({
          consumption: z.array(
            z.object({ metrics: z.array(z.object({ metric_name: z.string(), value: z.number() })).nullish() }),
          ),
        }),
      ),
    }),
  ),
  pagination: z.object({ cursor: z.string().optional() }).nullish(),
});

/** Makes the managing part of the API out of the client's own means. */
export function managementOf({ api, orgId, onSecret, call }: ManagementCalls): Management {
  const org = orgId === undefined ? {} : { org_id: orgId };

  /** For what a role is given: its password is masked before anybody sees it. */
  const roleOf = ({ role, operations }: z.infer<typeof changedRoleSchema>): RoleWithPassword => {
    if (typeof role.password === 'string') onSecret(role.password);
    return { name: role.name, operations, ...(typeof role.password === 'string' ? { password: role.password } : {}) };
  };

  return {
    async listStates({ search, deleted } = {}) {
      const projects = new Map<string, ProjectState>();
      const unavailable = new Set<string>();
      const pages = readPages(async (cursor) => {
        const answer = await call('listProjects', 'read', statePageSchema, (params) =>
          api.listProjects(
            {
              limit: PROJECTS_A_PAGE,
              ...(cursor === undefined ? {} : { cursor }),
              ...(search === undefined ? {} : { search }),
              ...(deleted === true ? { recoverable: true } : {}),
              ...org,
            },
            params,
          ),
        );
        for (const id of answer.unavailable_project_ids ?? []) unavailable.add(id);
        return { items: answer.projects, cursor: answer.pagination?.cursor };
      });
      for await (const page of pages) for (const project of page) projects.set(project.id, stateOf(project));
      return {
        projects: [...projects.values()],
        unavailableProjectIds: [...unavailable].filter((id) => !projects.has(id)),
      };
    },

    async createProject(request) {
      const answer = await call('createProject', 'write', createdSchema, (params) =>
        api.createProject({ project: { ...request, ...org } }, params),
      );
      for (const { connection_uri } of answer.connection_uris ?? []) onSecret(connection_uri);
      return { project: stateOf(answer.project), operations: answer.operations };
    },

    async updateProject(projectId, request) {
      const { operations } = await call('updateProject', 'write', operationsOnly, (params) =>
        api.updateProject(projectId, { project: request }, params),
      );
      return operations ?? [];
    },

    async deleteProject(projectId) {
      await call('deleteProject', 'write', z.unknown(), (params) => api.deleteProject(projectId, params));
    },

    async listEndpoints(projectId) {
      const { endpoints } = await call('listProjectEndpoints', 'read', endpointsSchema, (params) =>
        api.listProjectEndpoints(projectId, params),
      );
      return endpoints.map((endpoint) => ({
        id: endpoint.id,
        branchId: endpoint.branch_id,
        isWriter: endpoint.type === 'read_write',
        minCu: endpoint.autoscaling_limit_min_cu,
        maxCu: endpoint.autoscaling_limit_max_cu,
        suspendTimeoutSeconds: endpoint.suspend_timeout_seconds,
        host: endpoint.host,
      }));
    },

    async updateEndpoint(projectId, endpointId, change) {
      const { operations } = await call('updateProjectEndpoint', 'write', operationsOnly, (params) =>
        api.updateProjectEndpoint(projectId, endpointId, { endpoint: change }, params),
      );
      return operations ?? [];
    },

    async listAnnotatedBranches(projectId) {
      const pages = readPages(async (cursor) => {
        const answer = await call('listProjectBranches', 'read', branchPageSchema, (params) =>
          api.listProjectBranches({ projectId, ...(cursor === undefined ? {} : { cursor }) }, params),
        );
        const items = answer.branches.map((branch) => annotated(branch, answer.annotations?.[branch.id]?.value ?? {}));
        return { items, cursor: answer.pagination?.next };
      });
      const branches: AnnotatedBranch[] = [];
      for await (const page of pages) branches.push(...page);
      return branches;
    },

    async createDevBranch(projectId, { name, parentId, expiresAt, annotations }) {
      const { branch, operations } = await call('createProjectBranch', 'write', changedBranchSchema, (params) =>
        api.createProjectBranch(
          projectId,
          {
            branch: {
              name,
              ...(parentId === undefined ? {} : { parent_id: parentId }),
              ...(expiresAt === undefined ? {} : { expires_at: expiresAt }),
            },
            endpoints: [{ type: EndpointType.ReadWrite }],
            ...(annotations === undefined ? {} : { annotation_value: { ...annotations } }),
          },
          params,
        ),
      );
      return { branch: annotated(branch, {}), operations };
    },

    async resetBranchToParent(projectId, branchId, parentId) {
      const { operations } = await call('restoreProjectBranch', 'write', operationsOnly, (params) =>
        api.restoreProjectBranch(projectId, branchId, { source_branch_id: parentId }, params),
      );
      return operations ?? [];
    },

    async setBranchExpiry(projectId, branchId, expiresAt) {
      const { operations } = await call('updateProjectBranch', 'write', operationsOnly, (params) =>
        api.updateProjectBranch(projectId, branchId, { branch: { expires_at: expiresAt } }, params),
      );
      return operations ?? [];
    },

    async deleteBranch(projectId, branchId) {
      const answer = await call('deleteProjectBranch', 'write', operationsOnly.or(z.literal('')), (params) =>
        api.deleteProjectBranch({ projectId, branchId }, params),
      );
      return answer === '' ? [] : (answer.operations ?? []);
    },

    async listRoles(projectId, branchId) {
      const { roles } = await call('listProjectBranchRoles', 'read', rolesSchema, (params) =>
        api.listProjectBranchRoles(projectId, branchId, params),
      );
      return roles.map(({ name }) => name);
    },

    async createRole(projectId, branchId, name) {
      const answer = await call('createProjectBranchRole', 'write', changedRoleSchema, (params) =>
        api.createProjectBranchRole(projectId, branchId, { role: { name } }, params),
      );
      return roleOf(answer);
    },

    async resetRolePassword(projectId, branchId, name) {
      const answer = await call('resetProjectBranchRolePassword', 'write', changedRoleSchema, (params) =>
        api.resetProjectBranchRolePassword(projectId, branchId, name, params),
      );
      return roleOf(answer);
    },

    async regions() {
      const { regions } = await call('getActiveRegions', 'read', regionsSchema, (params) =>
        api.getActiveRegions({}, params),
      );
      return regions.map(({ region_id }) => region_id);
    },

    async keyDetails() {
      const { account_id, auth_method } = await call('getAuthDetails', 'read', keySchema, (params) =>
        api.getAuthDetails(params),
      );
      const methods: Readonly<Record<string, KeyDetails['method']>> = {
        api_key_org: 'organisation',
        api_key_user: 'personal',
      };
      return { accountId: account_id, method: methods[auth_method] ?? 'other' };
    },

    async consumption(org_id, metrics, from, to) {
      const used = new Map<string, Record<string, number>>();
      const pages = readPages(async (cursor) => {
        const answer = await call('getConsumptionHistoryPerProjectV2', 'read', consumptionSchema, (params) =>
          api.instance.get('/consumption_history/v2/projects', {
            ...params,
            params: {
              org_id,
              metrics: metrics.join(','),
              from: from.toISOString(),
              to: to.toISOString(),
              granularity: 'daily',
              limit: CONSUMPTION_A_PAGE,
              ...(cursor === undefined ? {} : { cursor }),
            },
          }),
        );
        return { items: answer.projects, cursor: answer.pagination?.cursor };
      });
      for await (const page of pages) {
        for (const { project_id, periods } of page) {
          const sums = used.get(project_id) ?? {};
          const values = periods.flatMap(({ consumption }) => consumption.flatMap(({ metrics: each }) => each ?? []));
          for (const { metric_name, value } of values) sums[metric_name] = (sums[metric_name] ?? 0) + value;
          used.set(project_id, sums);
        }
      }
      return used;
    },
  };
}

function stateOf(project: z.infer<typeof stateSchema>): ProjectState {
  const { quota, allowed_ips, enable_logical_replication, maintenance_window } = project.settings ?? {};
  return {
    projectId: project.id,
    name: project.name,
    regionId: project.region_id,
    pgVersion: project.pg_version,
    createdAt: project.created_at,
    defaultEndpointSettings: project.default_endpoint_settings ?? {},
    settings: {
      ...(quota == null ? {} : { quota }),
      ...(allowed_ips == null ? {} : { allowed_ips }),
      ...(enable_logical_replication == null ? {} : { enable_logical_replication }),
      ...(maintenance_window == null ? {} : { maintenance_window }),
    },
    ...(project.history_retention_seconds == null
      ? {}
      : { historyRetentionSeconds: project.history_retention_seconds }),
    ...(project.synthetic_storage_size == null ? {} : { storageBytes: project.synthetic_storage_size }),
    ...(project.compute_last_active_at == null ? {} : { lastActiveAt: project.compute_last_active_at }),
    ...(project.recoverable_until == null ? {} : { recoverableUntil: project.recoverable_until }),
  };
}

function annotated(
  branch: z.infer<typeof branchSchema>,
  annotations: Readonly<Record<string, string>>,
): AnnotatedBranch {
  return {
    id: branch.id,
    name: branch.name,
    isDefault: branch.default,
    isProtected: branch.protected,
    ...(branch.parent_id == null ? {} : { parentId: branch.parent_id }),
    ...(branch.expires_at == null ? {} : { expiresAt: branch.expires_at }),
    annotations,
  };
}
