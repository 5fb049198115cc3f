import { setTimeout as delay } from 'node:timers/promises';

import { createApiClient } from '@neondatabase/api-client';
import { z } from 'zod';

import { ExplainedError } from '../errors/index.js';
import {
  branchPageSchema,
  connectionUriSchema,
  createdProjectSchema,
  databasesSchema,
  operationAnswerSchema,
  operationsSchema,
  projectPageSchema,
  type OperationAnswer,
  type ProjectAnswer,
} from './answers.js';
import { failureOf, NeonApiError } from './errors.js';
import { managementOf, type Management } from './management.js';
import { readPages } from './pages.js';
import type { ProjectListing, ProjectRef } from './projects.js';
import { callWithRetry, DEFAULT_RETRY_POLICY, type CallKind, type RetryNotice, type RetryPolicy } from './retry.js';

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
  createProject(project: NewProject): Promise<CreatedProject>;
  listBranches(projectId: string): Promise<Branch[]>;
  listDatabases(projectId: string, branchId: string): Promise<Database[]>;
  listOperations(projectId: string): Promise<Operation[]>;
  getOperation(projectId: string, operationId: string): Promise<Operation>;
  /** Gives a URI with password. It is handed to `onSecret` before anything else sees it. */
  connectionUri(request: ConnectionRequest): Promise<string>;
}

export interface NeonOptions {
  readonly apiKey: string;
  /** Default: Neon's own. */
  readonly apiUrl?: string | undefined;
  readonly orgId?: string | undefined;
  readonly userAgent: string;
  readonly signal?: AbortSignal;
  readonly requestTimeoutMs?: number;
  readonly retryPolicy?: RetryPolicy;
  readonly sleep?: (ms: number, signal: AbortSignal | undefined) => Promise<void>;
  readonly onRetry?: (notice: RetryNotice) => void;
  /** Called with every secret the moment it arrives, so that it can be masked. */
  readonly onSecret?: (secret: string) => void;
}

const DEFAULT_REQUEST_TIMEOUT_MS = 30_000;
const PROJECTS_A_PAGE = 400; // the most that the API gives
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;

/**
 * Opens the Neon API with retries, timeouts and checked answers around the official client, which has none of them.
 *
 * Every method throws a {@link NeonApiError} for a call that failed for good, and an ExplainedError for an answer that
 * does not have the shape the API documents.
 */
export function openNeon(options: NeonOptions): Neon & { readonly manage: Management } {
  const { orgId, signal } = options;
  const api = createApiClient({
    apiKey: options.apiKey,
    timeout: options.requestTimeoutMs ?? DEFAULT_REQUEST_TIMEOUT_MS,
    maxContentLength: MAX_ANSWER_BYTES,
    maxRedirects: 0,
    headers: { 'User-Agent': options.userAgent },
    ...(options.apiUrl === undefined ? {} : { baseURL: options.apiUrl }),
  });
  const params = signal === undefined ? {} : { signal };

  async function call<T>(
    operation: string,
    kind: CallKind,
    schema: z.ZodType<T>,
    send: () => Promise<{ data: unknown }>,
  ): Promise<T> {
    let data: unknown;
    try {
      ({ data } = await callWithRetry(send, {
        operation,
        kind,
        policy: options.retryPolicy ?? DEFAULT_RETRY_POLICY,
        signal,
        sleep: options.sleep ?? ((ms, abort) => delay(ms, undefined, { signal: abort })),
        onRetry: options.onRetry ?? (() => undefined),
      }));
    } catch (thrown) {
      signal?.throwIfAborted();
      const failure = failureOf(thrown);
      throw failure === undefined ? thrown : new NeonApiError(operation, failure);
    }
    const parsed = schema.safeParse(data);
    if (!parsed.success) throw unexpectedAnswer(operation, parsed.error);
    return parsed.data;
  }

  return {
    manage: managementOf({
      api,
      orgId,
      onSecret: (secret) => options.onSecret?.(secret),
      call: (operation, kind, schema, send) => call(operation, kind, schema, () => send(params)),
    }),

    async listProjects(search) {
      const projects = new Map<string, ProjectRef>();
      const unavailable = new Set<string>();
      const pages = readPages(async (cursor) => {
        const answer = await call('listProjects', 'read', projectPageSchema, () =>
          api.listProjects(
            {
              limit: PROJECTS_A_PAGE,
              ...(cursor === undefined ? {} : { cursor }),
              ...(search === undefined ? {} : { search }),
              ...(orgId === undefined ? {} : { org_id: orgId }),
            },
            params,
          ),
        );
        for (const id of answer.unavailable_project_ids ?? []) unavailable.add(id);
        return { items: answer.projects, cursor: answer.pagination?.cursor };
      });
      for await (const page of pages) for (const project of page) projects.set(project.id, refOf(project));
      return {
        projects: [...projects.values()],
        unavailableProjectIds: [...unavailable].filter((id) => !projects.has(id)),
      };
    },

    async createProject({ name, regionId, pgVersion, branch, database, role }) {
      const branchRequest = {
        ...(branch === undefined ? {} : { name: branch }),
        ...(database === undefined ? {} : { database_name: database }),
        ...(role === undefined ? {} : { role_name: role }),
      };
      const answer = await call('createProject', 'write', createdProjectSchema, () =>
        api.createProject(
          {
            project: {
              name,
              ...(regionId === undefined ? {} : { region_id: regionId }),
              ...(pgVersion === undefined ? {} : { pg_version: pgVersion }),
              ...(orgId === undefined ? {} : { org_id: orgId }),
              ...(Object.keys(branchRequest).length === 0 ? {} : { branch: branchRequest }),
            },
          },
          params,
        ),
      );
      for (const { connection_uri } of answer.connection_uris ?? []) options.onSecret?.(connection_uri);
      return { project: refOf(answer.project), operations: answer.operations };
    },

    async listBranches(projectId) {
      const pages = readPages(async (cursor) => {
        const answer = await call('listProjectBranches', 'read', branchPageSchema, () =>
          api.listProjectBranches({ projectId, ...(cursor === undefined ? {} : { cursor }) }, params),
        );
        return { items: answer.branches, cursor: answer.pagination?.next };
      });
      const branches: Branch[] = [];
      for await (const page of pages) {
        branches.push(...page.map((branch) => ({ id: branch.id, name: branch.name, isDefault: branch.default })));
      }
      return branches;
    },

    async listDatabases(projectId, branchId) {
      const { databases } = await call('listProjectBranchDatabases', 'read', databasesSchema, () =>
        api.listProjectBranchDatabases(projectId, branchId, params),
      );
      return databases.map(({ name, owner_name }) => ({ name, owner: owner_name }));
    },

    async listOperations(projectId) {
      const { operations } = await call('listProjectOperations', 'read', operationsSchema, () =>
        api.listProjectOperations({ projectId }, params),
      );
      return operations;
    },

    async getOperation(projectId, operationId) {
      const { operation } = await call('getProjectOperation', 'read', operationAnswerSchema, () =>
        api.getProjectOperation(projectId, operationId, params),
      );
      return operation;
    },

    async connectionUri({ projectId, database, role, branchId, pooled }) {
      const { uri } = await call('getConnectionUri', 'read', connectionUriSchema, () =>
        api.getConnectionUri(
          {
            projectId,
            database_name: database,
            role_name: role,
            ...(branchId === undefined ? {} : { branch_id: branchId }),
            ...(pooled === undefined ? {} : { pooled }),
          },
          params,
        ),
      );
      options.onSecret?.(uri);
      return uri;
    },
  };
}

function refOf(project: ProjectAnswer): ProjectRef {
  return {
    projectId: project.id,
    name: project.name,
    regionId: project.region_id,
    pgVersion: project.pg_version,
    createdAt: project.created_at,
  };
}

function unexpectedAnswer(operation: string, error: z.ZodError): ExplainedError {
  const where = error.issues.slice(0, 3).map(({ path, message }) => `${path.join('.') || 'the answer'}: ${message}`);
  return new ExplainedError({
    message: `Neon API, ${operation}: the answer is not what the API documents (${where.join('; ')})`,
    hint: 'Does neon-api-url point at the Neon API, and is there a proxy in between that answers in its place?',
  });
}
