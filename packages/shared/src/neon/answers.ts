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
});

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

export const branchSchema = z.object({ id: z.string(), name: z.string(), default: z.boolean() });

export const branchPageSchema = z.object({
  branches: z.array(branchSchema),
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

export const connectionUriSchema = z.object({ uri: z.string().min(1) });

export type ProjectAnswer = z.infer<typeof projectSchema>;
export type OperationAnswer = z.infer<typeof operationSchema>;
