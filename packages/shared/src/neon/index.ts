export type { NeonOptions } from './caller.js';
export { openNeon } from './client.js';
export { systemClock, type Clock } from './clock.js';
export { BranchExistsError, NeonApiError, StillCreatingError } from './errors.js';
export {
  isUnfinished,
  phaseOf,
  unfinishedOperations,
  waitForOperations,
  type OperationPhase,
  type WaitOptions,
} from './operations.js';
export type {
  Branch,
  BranchRestore,
  ChangedBranch,
  Compute,
  ConnectionRequest,
  CreatedProject,
  Database,
  Neon,
  NewBranch,
  NewProject,
  Operation,
} from './port.js';
export type { ProjectListing, ProjectRef } from './projects.js';
export { burstFor, DEFAULT_RATE_PER_MINUTE, RateLimiter } from './rate-limiter.js';
export { findBranch, findDatabase, type AssumedNames, type FoundDatabase, type WantedDatabase } from './resolve.js';
export type {
  AnnotatedBranch,
  Consumption,
  CreateRequest,
  Endpoint,
  EndpointChange,
  KeyDetails,
  Management,
  NewDevBranch,
  ProjectState,
  RoleWithPassword,
  StateListing,
  UpdateRequest,
} from './management.js';
export { callWithRetry, delayBeforeRetry, mayRetry, type RetryNotice, type RetryPolicy } from './retry.js';
