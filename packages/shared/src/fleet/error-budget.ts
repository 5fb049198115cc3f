import { ExplainedError } from '../errors/index.js';
import { shareOf } from './percent.js';

/** How many failures a rollout may have, as it was asked for. */
export type MaxFailures =
  { readonly kind: 'count'; readonly count: number } | { readonly kind: 'percent'; readonly percent: number };

export const MAX_FAILURES_FORM = 'a number of tenants such as 5, or a share of them such as 1% (0 for none at all)';

/** @throws ExplainedError for anything but a number or a percentage. */
export function parseMaxFailures(text: string): MaxFailures {
  const [, number, sign] = /^(\d{1,9}(?:\.\d{1,3})?)\s*(%?)$/.exec(text.trim()) ?? [];
  const value = Number(number);
  if (sign === '%' && value <= 100) return { kind: 'percent', percent: value };
  if (sign === '' && Number.isInteger(value)) return { kind: 'count', count: value };
  throw new ExplainedError({ message: `max-failures: ${JSON.stringify(text)} is not ${MAX_FAILURES_FORM}` });
}

/** The budget of a fleet in tenants: a percentage is rounded down, and is at least one tenant unless it is nought. */
export function maxFailuresOf(spec: MaxFailures, total: number): number {
  if (spec.kind === 'count') return spec.count;
  return spec.percent === 0 ? 0 : Math.max(1, shareOf(total, spec.percent, 'down'));
}

/**
 * Divides a budget among shards that cannot see one another, by their sizes. The shares add up to the budget exactly:
 * what is left after rounding down goes to those that lost most by it, the first of equals.
 */
export function shareBudget(maxFailures: number, shardSizes: readonly number[]): number[] {
  const total = shardSizes.reduce((sum, size) => sum + size, 0);
  if (total === 0) return shardSizes.map((_, index) => (index === 0 ? maxFailures : 0));
  const shares = shardSizes.map((size) => Math.floor((maxFailures * size) / total));
  const left = maxFailures - shares.reduce((sum, share) => sum + share, 0);
  const byLoss = shardSizes
    .map((size, index) => ({ index, loss: (maxFailures * size) % total }))
    .toSorted((a, b) => b.loss - a.loss || a.index - b.index);
  for (const { index } of byLoss.slice(0, left)) shares[index] = (shares[index] ?? 0) + 1;
  return shares;
}
