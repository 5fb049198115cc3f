export { discoverTenants, type Discovery } from './discovery.js';
export {
  identify,
  workThroughTenants,
  type EngineOptions,
  type Progress,
  type TenantDone,
  type WorkContext,
  type WorkResult,
} from './engine.js';
export { FleetFileError, parseFleetFile, type FleetFile, type FleetFileProblem } from './fleet-file.js';
export { fleetFileJsonSchema, type FleetGroup, type FleetTenant, type TenantSettings } from './fleet-file-schema.js';
export { resolveFleet, type DesiredTenant } from './fleet-file-resolve.js';
export { durationText, sizeText } from './fleet-file-units.js';
export {
  outcomeSchema,
  SKIP_REASONS,
  UNCHANGED_REASONS,
  type Outcome,
  type OutcomeStatus,
  type SkipReason,
  type TenantResult,
  type UnchangedReason,
} from './outcome.js';
export {
  countOutcomes,
  fleetReportSchema,
  inOrderOfAttention,
  makeReport,
  type Counts,
  type FleetReport,
} from './report.js';
export { selectTenants, type Selectable, type SelectionResult } from './selection.js';
export { StoppedError, stopReasonOf, type StopReason } from './stop.js';
export { NEON_DEFAULTS, tenantOf, type Location, type Tenant } from './tenant.js';
export { STATUS_WEIGHTS, VERDICTS, verdictOf, weigh, type Verdict, type Weight } from './verdict.js';
