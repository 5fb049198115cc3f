import { z } from 'zod';

/**
 * The parts of Neon's answers that are used, checked when they arrive: a proxy's login page with status 200 must end
 * as an error with a name, not as an empty fleet.
 */
export const projectSchema = z.object({
  id: z.string().min(1),
  name: z.string(),
  region_id: z.string(),
  pg_version: z.int(),
  created_at: z.string(),
  compute_last_active_at: tolerant(z.string()),
  history_retention_seconds: tolerant(z.int().nonnegative()),
  synthetic_storage_size: tolerant(z.number().nonnegative()),
  deleted_at: tolerant(z.string()),
  settings: tolerant(
    z.object({
      allowed_ips: tolerant(
        z.object({ ips: tolerant(z.array(z.string())), protected_branches_only: tolerant(z.boolean()) }),
      ),
      block_public_connections: tolerant(z.boolean()),
      block_vpc_connections: tolerant(z.boolean()),
    }),
  ),
});

/** What nothing depends on: odd values count as absent, so that one project cannot make a whole fleet unreadable. */
function tolerant<T extends z.ZodType>(schema: T) {
  return schema.nullish().catch(undefined);
}

const paginationSchema = z.object({ cursor: z.string().optional() }).nullish();

export const projectPageSchema = z.object({
  projects: z.array(projectSchema),
  pagination: paginationSchema,
  unavailable_project_ids: z.array(z.string()).nullish(),
});

export const operationSchema = z.object({
  id: z.string(),
  action: z.string(),
  status: z.string(),
  error: z.string().nullish(),
});

export const operationAnswerSchema = z.object({ operation: operationSchema });

export const projectAnswerSchema = z.object({ project: projectSchema });

export const branchSchema = z.object({
  id: z.string().min(1),
  name: z.string(),
  default: z.boolean(),
  protected: tolerant(z.boolean()),
  parent_id: tolerant(z.string()),
  created_at: tolerant(z.string()),
  current_state: tolerant(z.string()),
});

export const branchAnswerSchema = z.object({ branch: branchSchema });

/** What was written on branches when they were made, by the branch's id. */
const annotationsSchema = tolerant(z.record(z.string(), z.object({ value: z.record(z.string(), z.string()) })));

export const branchPageSchema = z.object({
  branches: z.array(branchSchema),
  annotations: annotationsSchema,
  pagination: z.object({ next: z.string().optional() }).nullish(),
});

export const createdProjectSchema = z.object({
  project: projectSchema,
  branch: branchSchema,
  databases: z.array(z.object({ name: z.string(), owner_name: z.string() })),
  operations: z.array(operationSchema),
  connection_uris: z.array(z.object({ connection_uri: z.string() })).nullish(),
});

export const databasesSchema = z.object({ databases: z.array(z.object({ name: z.string(), owner_name: z.string() })) });

export const operationsSchema = z.object({ operations: z.array(operationSchema), pagination: paginationSchema });

export const changedBranchSchema = z.object({ branch: branchSchema, operations: z.array(operationSchema) });

/** A deletion of what is gone already is answered with 204 and nothing. */
export const deletedBranchSchema = z.union([
  z.object({ operations: z.array(operationSchema) }),
  z.literal('').transform(() => ({ operations: [] })),
]);

export const connectionUriSchema = z.object({ uri: z.string().min(1) });

export type ProjectAnswer = z.infer<typeof projectSchema>;
export type BranchAnswer = z.infer<typeof branchSchema>;
export type OperationAnswer = z.infer<typeof operationSchema>;

export const endpointsSchema = z.object({ endpoints: z.array(z.object({ host: z.string(), branch_id: z.string() })) });
