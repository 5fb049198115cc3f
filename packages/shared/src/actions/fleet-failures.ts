import { setTimeout as delay } from 'node:timers/promises';

import * as core from '@actions/core';

import type { Catalog, ShardOfPlan } from '../catalog/index.js';
import { explain } from '../errors/index.js';
import type { FleetFailures } from '../fleet/index.js';
import { abortable } from '../s3/index.js';
import { connectCatalog } from './catalog.js';
import { redact } from './masking.js';
import { printableLine } from './printable.js';

export interface SharedBudget extends ShardOfPlan {
  /** What all shards of the plan together may have. */
  readonly maxFailures: number;
}

/** A compute that sleeps is woken by the first question. */
const FIRST_ANSWER_MS = 30_000;
const ANSWER_MS = 10_000;

/** The failures of all shards of a plan, counted in the catalog. */
export interface CountedFailures extends FleetFailures, AsyncDisposable {}

/**
 * Counts failures in the catalog. When it cannot be asked, or does not answer, that is said once, and the shard goes on
 * with its own share of the budget.
 *
 * @param stop of the run: nobody waits for the catalog after it, and that it did not answer then is no news.
 */
export function countInCatalog(
  url: string,
  { maxFailures, ...shard }: SharedBudget,
  stop: AbortSignal,
): CountedFailures {
  let catalog: Promise<Catalog> | undefined;

  const ask = async (failures: number): Promise<number> => {
    catalog ??= connectCatalog(url, stop);
    return (await catalog).exchangeFailures(shard, failures);
  };
  const close = async (): Promise<void> => {
    const open = catalog;
    catalog = undefined;
    if (open === undefined) return;
    const closed = open.then((each) => each.end());
    await abortable(closed, stop).catch(() => undefined);
  };

  return {
    maxFailures,
    async exchange(own) {
      const timeLimit = new AbortController();
      try {
        const limitMs = catalog === undefined ? FIRST_ANSWER_MS : ANSWER_MS;
        const tooLate = delay(limitMs, undefined, { signal: timeLimit.signal, ref: false }).then(() => {
          throw new Error(`it did not answer within ${limitMs / 1_000} s`);
        });
        const answer = ask(own);
        answer.catch(() => undefined);
        tooLate.catch(() => undefined);
        return await abortable(Promise.race([answer, tooLate]), stop);
      } catch (thrown) {
        if (stop.aborted) return undefined;
        const why = redact(explain(thrown).message);
        core.warning(
          printableLine(
            `The failures of the other shards are not known, since the catalog cannot be asked (${why}). This shard goes on with its own share of max-failures.`,
          ),
        );
        void close();
        return undefined;
      } finally {
        timeLimit.abort();
      }
    },
    [Symbol.asyncDispose]: close,
  };
}
