import { digestUpTo, qualifiedName, type MigrationFolder } from '@neon-fleet/shared/drizzle';
import { isGreen, type Tenant, type TenantResult } from '@neon-fleet/shared/fleet';

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
  if (migration?.to === undefined || !isGreen(result.status)) return result;
  const verified = proofOf(await engine.schemaOf(tenant), migration.to);
  return verified === undefined ? result : { ...result, migration: { ...migration, verified } };
}

/** By folder and tag: a plan asks for each of its tenants, and there are few folders. */
const digests = new WeakMap<MigrationFolder, Map<string, string | undefined>>();

function knownDigest(folder: MigrationFolder, tag: string): string | undefined {
  const known = digests.get(folder) ?? new Map<string, string | undefined>();
  digests.set(folder, known);
  if (!known.has(tag)) known.set(tag, digestUpTo(folder, tag));
  return known.get(tag);
}

/** What a database shows that has all of the folder's migrations up to a tag; undefined when the folder has no such tag. */
export function proofOf(
  { folder, table }: Pick<WantedSchema, 'folder' | 'table'>,
  tag: string,
): { readonly table: string; readonly digest: string } | undefined {
  const digest = knownDigest(folder, tag);
  return digest === undefined ? undefined : { table: qualifiedName(table), digest };
}
