import type { ProjectAnswer } from './answers.js';

/**
 * A Neon project as the project list gives it: no branch, database or role is known yet. The list does not say whether its
 * compute is suspended by a quota, or whether it is still being created.
 */
export interface ProjectRef {
  readonly projectId: string;
  readonly name: string;
  readonly regionId: string;
  readonly pgVersion: number;
  readonly createdAt: string;
  /** When any of its computes was last active; absent when none ever was, or Neon does not say. */
  readonly computeLastActiveAt?: string;
  /** How far back its branches can be restored. */
  readonly historyRetentionSeconds?: number;
  /** Data and history together. */
  readonly storageBytes?: number;
  /** The only addresses that may connect (single ones, CIDR blocks, ranges); absent when all may. */
  readonly allowedIps?: readonly string[];
  /** Whether `allowedIps` holds for protected branches only. */
  readonly allowedIpsForProtectedOnly?: boolean;
  /** Whether nobody may connect from the public internet. */
  readonly blocksPublicConnections?: boolean;
  /** Whether nobody may connect through a VPC endpoint. */
  readonly blocksVpcConnections?: boolean;
  /** Set when it has been deleted and can still be recovered. */
  readonly deletedAt?: string;
}

/** All projects that a key can see, as far as Neon could tell. */
export interface ProjectListing {
  readonly projects: readonly ProjectRef[];
  /** Projects that exist but whose data Neon could not give at the moment (`unavailable_project_ids`). */
  readonly unavailableProjectIds: readonly string[];
}

/** A project in the fleet's terms. */
export function projectRefOf(answer: ProjectAnswer): ProjectRef {
  const {
    allowed_ips: allowed,
    block_public_connections: blocksPublic,
    block_vpc_connections: blocksVpc,
  } = answer.settings ?? {};
  const ips = allowed?.ips ?? [];
  return {
    projectId: answer.id,
    name: answer.name,
    regionId: answer.region_id,
    pgVersion: answer.pg_version,
    createdAt: answer.created_at,
    ...given('computeLastActiveAt', answer.compute_last_active_at),
    ...given('historyRetentionSeconds', answer.history_retention_seconds),
    ...given('storageBytes', answer.synthetic_storage_size),
    ...(ips.length === 0 ? {} : { allowedIps: ips }),
    ...(ips.length > 0 && allowed?.protected_branches_only === true ? { allowedIpsForProtectedOnly: true } : {}),
    ...(blocksPublic === true ? { blocksPublicConnections: true } : {}),
    ...(blocksVpc === true ? { blocksVpcConnections: true } : {}),
    ...given('deletedAt', answer.deleted_at),
  };
}

function given<const Key extends string, Value>(
  key: Key,
  value: Value | null | undefined,
): Partial<Record<Key, Value>> {
  return value === undefined || value === null ? {} : ({ [key]: value } as Record<Key, Value>);
}
