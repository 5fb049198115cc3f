import { randomUUID } from 'node:crypto';
import type { OperationRecord, ProjectRecord } from './model.js';

/** One thing that a request sets going. */
export interface Step {
  readonly action: string;
  readonly branchId?: string;
  readonly endpointId?: string;
}

export type OperationStatus = 'scheduling' | 'running' | 'finished' | 'failed';

/** Status of an operation at a moment; it follows from the clock alone. */
export function operationStatus(operation: OperationRecord, now: number): OperationStatus {
  if (now < operation.runsAt) return 'scheduling';
  if (now < operation.endsAt) return 'running';
  return operation.error === undefined ? 'finished' : 'failed';
}

/** Operations for the steps of one request, running one after the other within `durationMs`. */
export function planOperations(
  steps: readonly Step[],
  now: number,
  durationMs: number,
  error: string | undefined,
): OperationRecord[] {
  const share = durationMs / Math.max(1, steps.length);
  return steps.map((step, index) => ({
    id: randomUUID(),
    action: step.action,
    branchId: step.branchId,
    endpointId: step.endpointId,
    createdAt: now,
    runsAt: now + share * (index + 0.3),
    endsAt: now + share * (index + 1),
    error: index === steps.length - 1 ? error : undefined,
  }));
}

/** When the last of a project's operations ends; 0 when it has none. */
export function busyUntil(project: ProjectRecord): number {
  return project.operations.reduce((latest, operation) => Math.max(latest, operation.endsAt), 0);
}
