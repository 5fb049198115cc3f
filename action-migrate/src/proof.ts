import { digestUpTo, qualifiedName } from '@neon-fleet/shared/drizzle';
import { STATUS_WEIGHTS, type Tenant, type TenantResult } from '@neon-fleet/shared/fleet';

import type { MigrationEngine, WantedSchema } from './engine.js';

/**
 * Adds to a good result what was read in the database: that it has all of the folder's migrations up to its version, and
 * no other. A later plan that holds the same folder against it need not look again.
 */
export async function withProof(
  engine: Pick<MigrationEngine, 'schemaOf'>,
  tenant: Tenant,
  result: TenantResult,
): Promise<TenantResult> {
  const { migration } = result;
  if (migration?.to === undefined || STATUS_WEIGHTS[result.status] !== 'green') return result;
  const verified = proofOf(await engine.schemaOf(tenant), migration.to);
  return verified === undefined ? result : { ...result, migration: { ...migration, verified } };
}

/** What a database shows that has all of the folder's migrations up to a tag; undefined when the folder has no such tag. */
export function proofOf(
  { folder, table }: Pick<WantedSchema, 'folder' | 'table'>,
  tag: string,
): { readonly table: string; readonly digest: string } | undefined {
  const digest = digestUpTo(folder, tag);
  return digest === undefined ? undefined : { table: qualifiedName(table), digest };
}
