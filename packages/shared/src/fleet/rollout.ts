import { setTimeout as delay } from 'node:timers/promises';

import type { Halt } from './brakes.js';
import { workThroughTenants, type EngineOptions } from './engine.js';
import type { Outcome } from './outcome.js';
import { decideNextWave, tallyWave, type RolloutDecision, type WaveTally } from './rollout-decision.js';
import type { Tenant } from './tenant.js';
import type { Wave } from './waves.js';

export interface RollOutOptions<T extends Tenant> extends Omit<EngineOptions<T>, 'tenants' | 'budget' | 'halted'> {
  readonly waves: readonly Wave<T>[];
  /** How long to wait between two waves, so that what a migration breaks can show. */
  readonly soakMs: number;
  /** Failures allowed over all waves together. */
  readonly maxFailures: number;
  /** Called when a wave begins. */
  readonly onWave?: (wave: Wave<T>) => void;
  /** Called after each wave but the last with what follows from it. */
  readonly onDecision?: (decision: RolloutDecision, after: Wave<T>) => void;
}

/**
 * Works through waves one after another in one job, and accounts for every tenant of every wave exactly once. When a wave
 * says that the next must not start, everybody in the later ones is skipped, with the wave and the names in the detail.
 */
export async function rollOut<T extends Tenant>(options: RollOutOptions<T>): Promise<Outcome[]> {
  const { soakMs, maxFailures, onWave, onDecision, ...engine } = options;
  const waves = options.waves.filter(({ tenants }) => tenants.length > 0);
  const total = waves.reduce((sum, { tenants }) => sum + tenants.length, 0);
  const outcomes: Outcome[] = [];
  const ended: WaveTally[] = [];
  let halted: Halt | undefined;

  for (const [index, wave] of waves.entries()) {
    const before = outcomes.length;
    const failuresBefore = ended.reduce((sum, { failures }) => sum + failures, 0);
    if (halted === undefined) onWave?.(wave);
    const worked = await workThroughTenants({
      ...engine,
      tenants: wave.tenants,
      budget: { maxFailures: maxFailures - failuresBefore },
      ...(halted === undefined ? {} : { halted }),
      onOutcome: (done) => engine.onOutcome?.({ ...done, progress: { done: before + done.progress.done, total } }),
    });
    for (const outcome of worked) outcomes.push(outcome);
    ended.push(tallyWave(wave.name, worked));

    // After a stop the engine skips the rest by itself, under the reason of the stop.
    if (halted !== undefined || options.signal.aborted || index === waves.length - 1) continue;
    const decision = decideNextWave(ended, { waves: waves.length, maxFailures });
    onDecision?.(decision, wave);
    if (decision.go) await soak(soakMs, options.signal);
    else halted = decision;
  }
  return outcomes;
}

/** Waits between two waves; ends early, without an error, when the run is told to stop. */
export async function soak(durationMs: number, signal: AbortSignal): Promise<void> {
  if (durationMs <= 0) return;
  try {
    await delay(durationMs, undefined, { signal });
  } catch (thrown) {
    if (!signal.aborted) throw thrown;
  }
}
