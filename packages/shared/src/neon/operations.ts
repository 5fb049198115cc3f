import { setTimeout as delay } from 'node:timers/promises';

import { ExplainedError } from '../errors/index.js';
import type { Neon, Operation } from './port.js';

/** What the status of an operation means for somebody who waits for it. */
export type OperationPhase = 'pending' | 'done' | 'failed';

/**
 * Reads an operation's status. `failed` counts as still pending: the documentation says that Neon may retry it, and
 * when it does not, the wait's own time limit ends it. A status that is not known counts as pending for the same reason.
 */
export function phaseOf(status: string): OperationPhase {
  switch (status) {
    case 'finished':
    case 'skipped':
      return 'done';
    case 'error':
    case 'cancelled':
      return 'failed';
    default:
      return 'pending';
  }
}

/** Whether it is still under way. What failed in the past is history. */
export function isUnfinished({ status }: Operation): boolean {
  return status === 'scheduling' || status === 'running';
}

/** What is still under way on a project. */
export async function unfinishedOperations(
  neon: Pick<Neon, 'listOperations'>,
  projectId: string,
): Promise<Operation[]> {
  return (await neon.listOperations(projectId)).filter(isUnfinished);
}

export interface WaitOptions {
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  readonly pollEveryMs?: number;
}

const DEFAULT_TIMEOUT_MS = 120_000;
const FIRST_POLL_MS = 100;
const LAST_POLL_MS = 2_000;

/**
 * Waits until all the operations have ended well.
 *
 * @throws ExplainedError when one of them failed or the time is over; the reason of the signal when it is aborted.
 */
export async function waitForOperations(
  neon: Pick<Neon, 'getOperation'>,
  projectId: string,
  operations: readonly Operation[],
  options: WaitOptions = {},
): Promise<void> {
  const deadline = performance.now() + (options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
  let pollMs = options.pollEveryMs ?? FIRST_POLL_MS;
  let waiting = operations.filter(stillPending(projectId));
  while (waiting.length > 0) {
    if (performance.now() > deadline) throw tookTooLong(projectId, waiting);
    await delay(pollMs, undefined, { signal: options.signal }).catch((thrown: unknown) => {
      options.signal?.throwIfAborted();
      throw thrown;
    });
    pollMs = Math.min(pollMs * 1.5, LAST_POLL_MS);
    const seen = await Promise.all(waiting.map(({ id }) => neon.getOperation(projectId, id)));
    waiting = seen.filter(stillPending(projectId));
  }
}

function stillPending(projectId: string): (operation: Operation) => boolean {
  return (operation) => {
    const phase = phaseOf(operation.status);
    if (phase === 'failed') throw operationFailed(projectId, operation);
    return phase === 'pending';
  };
}

function operationFailed(projectId: string, { action, id, status, error }: Operation): ExplainedError {
  return new ExplainedError({
    message: `Neon's operation ${action} on project ${projectId} ended as ${status}${error ? `: ${error}` : ''}`,
    hint: `Look at the project's operations in the Neon console (operation ${id}), then run again.`,
  });
}

function tookTooLong(projectId: string, waiting: readonly Operation[]): ExplainedError {
  const names = waiting.map(({ action, status }) => `${action} (${status})`).join(', ');
  return new ExplainedError({
    message: `Neon's operations on project ${projectId} did not end in time: ${names}`,
    hint: 'The project exists. Run again: what is there is found and finished, nothing is created twice.',
  });
}
