import pMap from 'p-map';

import { explain } from '../errors/index.js';
import { countsAsFailure, makeBrakes, type BrakesOptions, type Halt } from './brakes.js';
import { watchFleet } from './fleet-watch.js';
import { isInfrastructure } from './infrastructure.js';
import { joinMigrations } from './migration-record.js';
import type { Outcome, OutcomeIdentity, TenantResult } from './outcome.js';
import { skipFor } from './skips.js';
import { stopReasonOf, type StopReason } from './stop.js';
import type { Tenant } from './tenant.js';

/** How far a run has come. */
export interface Progress {
  readonly done: number;
  readonly total: number;
}

/** What the work on one tenant is given. */
export interface WorkContext {
  /** Aborted when the run is told to stop: end what is running, leave nothing half done, and throw or return. */
  readonly signal: AbortSignal;
  /** Keeps a line for the tenant's part of the log. */
  readonly note: (line: string) => void;
}

/** What work is given that finds or makes the project itself. */
export interface FindingContext extends WorkContext {
  /** Says which project it is as soon as that is known, so that it is in the report whatever comes after. */
  readonly found: (projectId: string) => void;
}

/** What the work on a tenant gives back; with the project's id when it is the work that found or made the project. */
export type WorkResult = TenantResult & { readonly projectId?: string };

/** What is known when a tenant is done. */
export interface TenantDone {
  readonly outcome: Outcome;
  readonly progress: Progress;
  readonly notes: readonly string[];
}

export interface EngineOptions<T extends Tenant> extends BrakesOptions {
  readonly tenants: readonly T[];
  /** How many tenants are worked on at the same time. */
  readonly concurrency: number;
  /** Does the job for one tenant. What it throws becomes the outcome of that tenant, mostly `failed`, and of no other. */
  readonly work: (tenant: T, context: FindingContext) => Promise<WorkResult>;
  /** Told to stop from outside: a cancellation or the time limit. */
  readonly signal: AbortSignal;
  /** How long tenants in flight may take to stop before the engine goes on without them. */
  readonly stopGraceMs?: number;
  /** How many whole attempts more a tenant that failed gets; by default none. */
  readonly retries?: number;
  /** Called when no new tenant is started any more, at most once; those in flight finish, the others are skipped. */
  readonly onHalt?: (halt: Halt) => void;
  /** Called once for every tenant as soon as its outcome is known. What it throws is ignored: the outcome counts. */
  readonly onOutcome?: (done: TenantDone) => void;
  readonly now?: () => Date;
}

const DEFAULT_STOP_GRACE_MS = 3_000;

/**
 * Works through the tenants, several at a time, and accounts for every one of them exactly once, whatever happens: a
 * failing tenant never stops the others, unless the failures are more than the budget allows or of the kind that opens
 * the breaker; after a stop or a halt the ones that were not started are `skipped`.
 */
export async function workThroughTenants<T extends Tenant>(options: EngineOptions<T>): Promise<Outcome[]> {
  const { tenants, concurrency, onOutcome, onHalt, now = () => new Date() } = options;
  const brakes = makeBrakes(options);
  const fleet = watchFleet(options.budget?.fleet, brakes, {
    signal: options.signal,
    onHalt: (halt) => tell(onHalt, halt),
  });
  let done = 0;

  const accountForEach = pMap(
    tenants,
    async (tenant) => {
      await fleet.told();
      const startedAt = now();
      const notes: string[] = [];
      let { projectId } = tenant;
      const context: FindingContext = {
        signal: options.signal,
        note: (line) => notes.push(line),
        found: (id) => void (projectId = id),
      };
      const { attempts, result } = await accountFor(tenant, options, () => brakes.halt, context);
      const outcome: Outcome = { ...identify(tenant, startedAt, now(), attempts), projectId, ...result };
      const halt = brakes.take(outcome);
      if (countsAsFailure(outcome)) fleet.tell();
      done += 1;
      tell(onOutcome, { outcome, progress: { done, total: tenants.length }, notes });
      if (halt !== undefined) tell(onHalt, halt);
      return outcome;
    },
    { concurrency },
  );
  return accountForEach.finally(() => fleet.end());
}

/** Works on one tenant as often as it takes and is allowed, or says why it was not started. */
async function accountFor<T extends Tenant>(
  tenant: T,
  { work, signal, retries = 0, stopGraceMs = DEFAULT_STOP_GRACE_MS }: EngineOptions<T>,
  halted: () => Halt | undefined,
  context: FindingContext,
): Promise<{ attempts: number; result: WorkResult }> {
  let result: WorkResult | undefined;
  for (let attempts = 0; ; attempts += 1) {
    if (result !== undefined && (attempts > retries || !mayBeTriedAgain(result))) return { attempts, result };
    if (signal.aborted) return { attempts, result: result ?? notStarted(signal) };
    const halt = halted();
    if (halt !== undefined) return { attempts, result: result ?? heldBack(halt) };

    if (result !== undefined) context.note(`attempt ${attempts} failed: ${result.detail}; trying again`);
    const next: WorkResult = await attempt(() => work(tenant, context), signal, stopGraceMs);
    const migration = joinMigrations(result?.migration, next.migration);
    result = migration === undefined ? next : { ...next, migration };
  }
}

/** What was put back may have been used by customers since, and what contradicts the migrations still will. */
function mayBeTriedAgain(result: WorkResult): boolean {
  return result.status === 'failed' && result.stopsRollout !== true;
}

function tell<T>(listener: ((told: T) => void) | undefined, told: T): void {
  try {
    listener?.(told);
  } catch {
    // A log that cannot be written must not cost the run its record.
  }
}

/** The part of an outcome that says who it is about and when it happened. */
export function identify(tenant: Tenant, startedAt: Date, endedAt: Date, attempts: number): OutcomeIdentity {
  return {
    projectId: tenant.projectId,
    name: tenant.name,
    database: tenant.database,
    attempts,
    startedAt: startedAt.toISOString(),
    durationMs: Math.max(0, endedAt.getTime() - startedAt.getTime()),
  };
}

const STOPPED_WORDS: Record<StopReason, string> = {
  cancelled: 'the run was cancelled',
  deadline: 'the time limit was reached',
};

function notStarted(signal: AbortSignal): TenantResult {
  const reason = stopReasonOf(signal);
  return { status: 'skipped', reason, detail: `not started: ${STOPPED_WORDS[reason]}` };
}

function heldBack({ reason, why }: Halt): TenantResult {
  return { status: 'skipped', reason, detail: `not started: ${why}` };
}

async function attempt(work: () => Promise<WorkResult>, signal: AbortSignal, stopGraceMs: number): Promise<WorkResult> {
  const grace = graceAfter(signal, stopGraceMs);
  try {
    return await Promise.race([settle(work, signal), grace.expired]);
  } finally {
    grace.cancel();
  }
}

async function settle(work: () => Promise<WorkResult>, signal: AbortSignal): Promise<WorkResult> {
  try {
    return await work();
  } catch (thrown) {
    const error = explain(thrown);
    if (!signal.aborted) return skipFor(thrown) ?? failed(thrown);
    const reason = stopReasonOf(signal);
    return { status: 'skipped', reason, detail: `stopped while being worked on: ${STOPPED_WORDS[reason]}`, error };
  }
}

function failed(thrown: unknown): TenantResult {
  const error = explain(thrown);
  const cause = isInfrastructure(thrown) ? { infrastructure: true as const } : {};
  return { status: 'failed', detail: error.message, error, ...cause };
}

/** An outcome that appears when the work has not ended by itself some time after the stop. */
function graceAfter(signal: AbortSignal, graceMs: number): { expired: Promise<TenantResult>; cancel: () => void } {
  let timer: NodeJS.Timeout | undefined;
  let onAbort: () => void = () => undefined;
  const expired = new Promise<TenantResult>((resolve) => {
    onAbort = () => {
      timer = setTimeout(() => {
        const error = {
          message: `it had not stopped ${graceMs} ms after the run was told to; its state is not known`,
          hint: 'Run again: the next run looks at the tenant before it does anything.',
        };
        resolve({ status: 'failed', detail: error.message, error });
      }, graceMs);
    };
    signal.addEventListener('abort', onAbort, { once: true });
  });
  return {
    expired,
    cancel: () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
    },
  };
}
