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
export { foreseenSkip, skipFor, type Whereabouts } from './skips.js';
export { StoppedError, stopReasonOf, type StopReason } from './stop.js';
export { NEON_DEFAULTS, tenantOf, type Location, type Tenant } from './tenant.js';
export { STATUS_WEIGHTS, VERDICTS, verdictOf, weigh, type Verdict, type Weight } from './verdict.js';
