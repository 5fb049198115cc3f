import { ExplainedError } from '../errors/index.js';
import type { Wave } from './waves.js';

/** What one job works through: tenants of one wave. */
export interface Shard<T> {
  /** Its number, from 1 over the whole plan. */
  readonly shard: number;
  readonly wave: number;
  readonly tenants: readonly T[];
}

export interface ShardingOptions {
  /** How many shards the whole plan may have; a matrix of GitHub has at most 256 jobs. */
  readonly maxShards: number;
  /** How many tenants a shard has at most, as long as there are not more than fit into `maxShards` of them. */
  readonly tenantsPerShard: number;
}

/** The most jobs that GitHub makes of one matrix. */
export const MOST_SHARDS = 256;

/**
 * Cuts waves into shards that never mix two waves and, within a wave, differ by at most one tenant. When there are more
 * tenants than `maxShards` shards of the wished size hold, all shards grow alike.
 *
 * @throws ExplainedError when there are more waves than shards allowed.
 */
export function makeShards<T>(waves: readonly Wave<T>[], { maxShards, tenantsPerShard }: ShardingOptions): Shard<T>[] {
  const filled = waves.filter(({ tenants }) => tenants.length > 0);
  const most = Math.min(maxShards, MOST_SHARDS);
  if (filled.length > most) {
    throw new ExplainedError({
      message: `max-shards: ${filled.length} waves do not fit into ${most} shards, since no shard belongs to two waves`,
      hint: 'Ask for fewer waves, or raise max-shards.',
    });
  }
  const size = smallestFitting(
    filled.map(({ tenants }) => tenants.length),
    tenantsPerShard,
    most,
  );
  const shards: Shard<T>[] = [];
  for (const { wave, tenants } of filled) {
    for (const part of cut(tenants, Math.ceil(tenants.length / size))) {
      shards.push({ shard: shards.length + 1, wave, tenants: part });
    }
  }
  return shards;
}

/** The smallest size of a shard, from the wished one on, with which all waves fit. */
function smallestFitting(waveSizes: readonly number[], wished: number, maxShards: number): number {
  const shardsOf = (size: number) => waveSizes.reduce((sum, tenants) => sum + Math.ceil(tenants / size), 0);
  let low = Math.max(1, wished);
  let high = Math.max(low, ...waveSizes);
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (shardsOf(middle) <= maxShards) high = middle;
    else low = middle + 1;
  }
  return low;
}

function cut<T>(all: readonly T[], parts: number): T[][] {
  const [size, larger] = [Math.floor(all.length / parts), all.length % parts];
  let from = 0;
  return Array.from({ length: parts }, (_, index) => {
    const to = from + size + (index < larger ? 1 : 0);
    const part = all.slice(from, to);
    from = to;
    return part;
  });
}
