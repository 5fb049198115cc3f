export { countsAsFailure, type FleetFailures, type Halt } from './brakes.js';
export { discoverTenants, settle, type Discovery, type DiscoveryContext } from './discovery.js';
export {
  identify,
  workThroughTenants,
  type EngineOptions,
  type FindingContext,
  type Progress,
  type TenantDone,
  type WorkContext,
  type WorkResult,
} from './engine.js';
export { FleetFileError, parseFleetFile, type FleetFile, type FleetFileProblem } from './fleet-file.js';
export {
  fleetFileJsonSchema,
  type BackupSettings,
  type FleetGroup,
  type FleetTenant,
  type TenantSettings,
} from './fleet-file-schema.js';
export { readFleetFile } from './read-fleet-file.js';
export { resolveFleet, type DesiredTenant } from './fleet-file-resolve.js';
export { durationText, sizeText } from './fleet-file-units.js';
export { MAX_FAILURES_FORM, maxFailuresOf, parseMaxFailures, shareBudget, type MaxFailures } from './error-budget.js';
export {
  discoverMembers,
  memberNamed,
  membersBy,
  selectMembers,
  tenantOfMember,
  type Fleet,
  type MemberDiscovery,
} from './members.js';
export {
  confirmed,
  gate,
  mergeRecords,
  resumeShard,
  type GateDecision,
  type Merged,
  type MergeOptions,
  type Resumed,
} from './merge.js';
export { joinMigrations, leftSomething } from './migration-record.js';
export { identityOf } from './order.js';
export {
  outcomeSchema,
  SKIP_REASONS,
  UNCHANGED_REASONS,
  type MigrationRecord,
  type Outcome,
  type OutcomeStatus,
  type RestorePoint,
  type SkipReason,
  type TenantResult,
  type UnchangedReason,
} from './outcome.js';
export {
  makePlan,
  planSchema,
  readPlan,
  requireAgreement,
  shardOf,
  writePlan,
  type Plan,
  type PlannedShard,
  type PlannedTenant,
  type PlanSource,
} from './plan.js';
export { openRecorder, readRecords, writeShardReport, type Recorder, type ShardRecord } from './records.js';
export { parseRetention, RETENTION_WORDS, type RetentionPolicy } from './retention-policy.js';
export {
  countOutcomes,
  fleetReportSchema,
  inOrderOfAttention,
  makeReport,
  type Counts,
  type FleetReport,
} from './report.js';
export type { RolloutDecision } from './rollout-decision.js';
export { rollOut, soak, type RollOutOptions } from './rollout.js';
export {
  findIdleExclusions,
  nobodyLeft,
  nothingMatches,
  selectTenants,
  type Selectable,
  type SelectionResult,
} from './selection.js';
export { makeShards, MOST_SHARDS, type Shard, type ShardingOptions } from './shards.js';
export { foreseenSkip, skipFor, type Whereabouts } from './skips.js';
export { StoppedError, stopReasonOf, type StopReason } from './stop.js';
export { NEON_DEFAULTS, tenantOf, type Location, type Tenant } from './tenant.js';
export { isGreen, STATUS_WEIGHTS, VERDICTS, verdictOf, weigh, type Verdict, type Weight } from './verdict.js';
export { assignWaves, parseWaves, WAVES_FORM, type Wave, type WaveSpec } from './waves.js';
export { writeWhole } from './write-whole.js';
