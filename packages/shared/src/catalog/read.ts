import { z } from 'zod';

import type { Row } from '../postgres/index.js';
import { PROJECT_STATUSES } from './schema.js';

const when = z.union([z.date().transform((date) => date.toISOString()), z.string()]);

/** The columns have these names in the statements; a null is a property that is not there. */
const tenantSchema = z.object({
  key: z.string(),
  name: z.string(),
  projectId: z.string(),
  regionId: z.string(),
  pgVersion: z.number(),
  branch: z.string().exactOptional(),
  database: z.string().exactOptional(),
  role: z.string().exactOptional(),
  schemaVersion: z.string().exactOptional(),
  status: z.enum(PROJECT_STATUSES),
  /** Ids that the tenant's project had before: its old backups are under them. */
  predecessorIds: z.array(z.string()),
});

const statusSchema = tenantSchema.extend({
  backupAt: when.exactOptional(),
  backupBytes: z.coerce.number().exactOptional(),
  verifiedAt: when.exactOptional(),
  outcome: z.string().exactOptional(),
  reason: z.string().exactOptional(),
  errorCode: z.string().exactOptional(),
  outcomeAt: when.exactOptional(),
  runUrl: z.string().exactOptional(),
  runKey: z.string().exactOptional(),
});

const versionsSchema = z.object({
  projectId: z.string(),
  versions: z.array(
    z.object({
      /** As the inputs named it; empty: the default branch. */
      branch: z.string(),
      database: z.string(),
      /** Drizzle's own table, with its schema. */
      table: z.string(),
      /** The newest migration that it had. */
      version: z.string(),
      /** Of the folder's migrations up to that one, all of which it had, and no other. */
      digest: z.string(),
    }),
  ),
});

/** A tenant as the catalog knows it. */
export type CatalogTenant = Readonly<z.infer<typeof tenantSchema>>;

/** A tenant with what the catalog knows about its backups and its last migration. */
export type CatalogStatus = Readonly<z.infer<typeof statusSchema>>;

/** What the databases of a project were certainly at, when they were last looked at. */
export type CatalogVersions = Readonly<z.infer<typeof versionsSchema>>;
export type CatalogVersion = CatalogVersions['versions'][number];

export const readTenant = reader(tenantSchema);
export const readStatus = reader(statusSchema);
export const readVersions = reader(versionsSchema);

function reader<T>(schema: z.ZodType<T>): (row: Row) => T {
  return (row) => schema.parse(Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null)));
}
