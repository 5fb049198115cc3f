import { ExplainedError } from '../errors/index.js';
import {
  branchAnswerSchema,
  branchPageSchema,
  changedBranchSchema,
  connectionUriSchema,
  createdProjectSchema,
  databasesSchema,
  deletedBranchSchema,
  endpointsSchema,
  operationAnswerSchema,
  operationsSchema,
  projectAnswerSchema,
  projectPageSchema,
} from './answers.js';
import { branchOf, reconciledBranches, type BranchCalls, type MarkedBranch } from './branches.js';
import { openCaller, type NeonOptions } from './caller.js';
import { sleep, systemClock } from './clock.js';
import { computesOf } from './computes.js';
import { StillCreatingError } from './errors.js';
import { managementOf, type Management } from './management.js';
import { readPages } from './pages.js';
import type { Neon } from './port.js';
import { projectRefOf, type ProjectRef } from './projects.js';

const PROJECTS_A_PAGE = 400; // the most that the API gives

/** The annotation by which a branch is known to be ours when the answer to its creation was lost. */
const MARK = 'neon-fleet-request';

/**
 * Opens the Neon API with a rate limit, retries, timeouts and checked answers around the official client, which has none
 * of them.
 *
 * Every method throws a {@link NeonApiError} for a call that failed for good, and an ExplainedError for an answer that
 * does not have the shape the API documents.
 */
export function openNeon(options: NeonOptions): Neon & { readonly manage: Management } {
  const { orgId, signal, clock = systemClock } = options;
  const { api, call } = openCaller(options);

  async function listMarkedBranches(projectId: string): Promise<MarkedBranch[]> {
    const pages = readPages(async (cursor) => {
      const answer = await call('listProjectBranches', 'read', branchPageSchema, (params) =>
        api.listProjectBranches({ projectId, ...(cursor === undefined ? {} : { cursor }) }, params),
      );
      const marked = answer.branches.map((branch) => ({
        branch: branchOf(branch),
        mark: answer.annotations?.[branch.id]?.value[MARK],
      }));
      return { items: marked, cursor: answer.pagination?.next };
    });
    const branches: MarkedBranch[] = [];
    for await (const page of pages) branches.push(...page);
    return branches;
  }

  const branches: BranchCalls = {
    async create({ projectId, name, parentId, parentLsn, expiresAt }, mark) {
      const branch = {
        name,
        ...(parentId === undefined ? {} : { parent_id: parentId }),
        ...(parentLsn === undefined ? {} : { parent_lsn: parentLsn }),
        ...(expiresAt === undefined ? {} : { expires_at: toSeconds(expiresAt) }),
      };
      const answer = await call('createProjectBranch', 'write', changedBranchSchema, (params) =>
        api.createProjectBranch(projectId, { branch, annotation_value: { [MARK]: mark } }, params),
      );
      return { branch: branchOf(answer.branch), operations: answer.operations };
    },

    async restore({ projectId, branchId, sourceBranchId, sourceLsn, sourceTimestamp, preserveUnderName }) {
      const answer = await call('restoreProjectBranch', 'write', changedBranchSchema, (params) =>
        api.restoreProjectBranch(
          projectId,
          branchId,
          {
            source_branch_id: sourceBranchId,
            ...(sourceLsn === undefined ? {} : { source_lsn: sourceLsn }),
            ...(sourceTimestamp === undefined ? {} : { source_timestamp: sourceTimestamp }),
            preserve_under_name: preserveUnderName,
          },
          params,
        ),
      );
      return { branch: branchOf(answer.branch), operations: answer.operations };
    },

    async delete(projectId, branchId) {
      const { operations } = await call('deleteProjectBranch', 'write', deletedBranchSchema, (params) =>
        api.deleteProjectBranch({ projectId, branchId }, params),
      );
      return operations;
    },

    async get(projectId, branchId) {
      const { branch } = await call('getProjectBranch', 'read', branchAnswerSchema, (params) =>
        api.getProjectBranch(projectId, branchId, params),
      );
      return branchOf(branch);
    },

    async listOperations(projectId) {
      const { operations } = await call('listProjectOperations', 'read', operationsSchema, (params) =>
        api.listProjectOperations({ projectId }, params),
      );
      return operations;
    },

    list: listMarkedBranches,
    sleep: (ms) => sleep(clock, ms, signal),
  };

  return {
    manage: managementOf({ api, orgId, call, onSecret: (secret) => options.onSecret?.(secret) }),

    async listProjects(search) {
      const projects = new Map<string, ProjectRef>();
      const unavailable = new Set<string>();
      const pages = readPages(async (cursor) => {
        const answer = await call('listProjects', 'read', projectPageSchema, (params) =>
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
      for await (const page of pages) for (const project of page) projects.set(project.id, projectRefOf(project));
      return {
        projects: [...projects.values()],
        unavailableProjectIds: [...unavailable].filter((id) => !projects.has(id)),
      };
    },

    async getProject(projectId) {
      const { project } = await call('getProject', 'read', projectAnswerSchema, (params) =>
        api.getProject(projectId, params),
      );
      return projectRefOf(project);
    },

    async createProject({ name, regionId, pgVersion, branch, database, role }) {
      const branchRequest = {
        ...(branch === undefined ? {} : { name: branch }),
        ...(database === undefined ? {} : { database_name: database }),
        ...(role === undefined ? {} : { role_name: role }),
      };
      const answer = await call('createProject', 'write', createdProjectSchema, (params) =>
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
      return { project: projectRefOf(answer.project), operations: answer.operations };
    },

    async listBranches(projectId) {
      return (await listMarkedBranches(projectId)).map(({ branch }) => branch);
    },

    getBranch: (projectId, branchId) => branches.get(projectId, branchId),

    async defaultBranch(projectId) {
      const found = (await listMarkedBranches(projectId)).find(({ branch }) => branch.isDefault);
      if (found === undefined) throw new StillCreatingError(projectId, 'the default branch');
      return found.branch;
    },

    ...computesOf({ api, call }),

    async branchOfHost(projectId, host) {
      const { endpoints } = await call('listProjectEndpoints', 'read', endpointsSchema, (params) =>
        api.listProjectEndpoints(projectId, params),
      );
      const found = endpoints.find((endpoint) => endpoint.host === host);
      if (found !== undefined) return found.branch_id;
      throw new ExplainedError({
        message: `the project ${projectId} has no endpoint ${host} any more, so that its branch is not known`,
        hint: 'Was the compute deleted? Restore the branch in the Neon console.',
      });
    },

    ...reconciledBranches(branches),

    async listDatabases(projectId, branchId) {
      const { databases } = await call('listProjectBranchDatabases', 'read', databasesSchema, (params) =>
        api.listProjectBranchDatabases(projectId, branchId, params),
      );
      return databases.map(({ name, owner_name }) => ({ name, owner: owner_name }));
    },

    listOperations: (projectId) => branches.listOperations(projectId),

    async getOperation(projectId, operationId) {
      const { operation } = await call('getProjectOperation', 'read', operationAnswerSchema, (params) =>
        api.getProjectOperation(projectId, operationId, params),
      );
      return operation;
    },

    async connectionUri({ projectId, database, role, branchId, pooled }) {
      const { uri } = await call('getConnectionUri', 'read', connectionUriSchema, (params) =>
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

/** Neon takes times to the second. */
function toSeconds(isoTime: string): string {
  return new Date(isoTime).toISOString().replace(/\.\d+Z$/, 'Z');
}
