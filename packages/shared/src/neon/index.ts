export {
  openNeon,
  type Branch,
  type ConnectionRequest,
  type CreatedProject,
  type Database,
  type Neon,
  type NeonOptions,
  type NewProject,
  type Operation,
} from './client.js';
export { NeonApiError } from './errors.js';
export { phaseOf, waitForOperations, type OperationPhase, type WaitOptions } from './operations.js';
export type { ProjectListing, ProjectRef } from './projects.js';
export { findDatabase, type AssumedNames, type FoundDatabase, type WantedDatabase } from './resolve.js';
export { callWithRetry, mayRetry, type RetryNotice, type RetryPolicy } from './retry.js';
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
