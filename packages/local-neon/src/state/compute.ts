import type { EndpointRecord, ProjectRecord } from './model.js';

const DEFAULT_SUSPEND_TIMEOUT_S = 300;

/** Whether a compute runs at a moment: it suspends itself when no client has been heard for its timeout. */
export function computeState(endpoint: EndpointRecord, now: number): 'active' | 'idle' {
  if (endpoint.activeAt === undefined) return 'idle';
  if (endpoint.connections > 0 || endpoint.suspendTimeoutSeconds === -1) return 'active';
  return now < suspendsAt(endpoint, endpoint.activeAt) ? 'active' : 'idle';
}

function suspendsAt(endpoint: EndpointRecord, activeAt: number): number {
  return activeAt + (endpoint.suspendTimeoutSeconds || DEFAULT_SUSPEND_TIMEOUT_S) * 1000;
}

/** When the compute was suspended, if it is. */
export function suspendedAt(endpoint: EndpointRecord, now: number): number | undefined {
  if (computeState(endpoint, now) === 'active') return undefined;
  return endpoint.activeAt === undefined ? endpoint.suspendedAt : suspendsAt(endpoint, endpoint.activeAt);
}

/** Starts a compute, or keeps a running one awake. */
export function startCompute(endpoint: EndpointRecord, now: number): void {
  if (computeState(endpoint, now) === 'idle') endpoint.startedAt = now;
  endpoint.activeAt = now;
  endpoint.suspendedAt = undefined;
}

/** Suspends a compute. Ending its connections is the caller's part. */
export function suspendCompute(endpoint: EndpointRecord, now: number): void {
  if (endpoint.activeAt !== undefined) endpoint.suspendedAt = now;
  endpoint.activeAt = undefined;
}

/** Notes that a client was heard. */
export function touchCompute(project: ProjectRecord, endpoint: EndpointRecord, now: number): void {
  endpoint.activeAt = now;
  endpoint.lastActiveAt = now;
  project.computeLastActiveAt = now;
}
