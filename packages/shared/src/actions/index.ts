export { applyShard, attemptOf, type ShardRun } from './apply-shard.js';
export { commentInputs, commentProblems, commentSettings } from './comment-inputs.js';
export { GITHUB_API, GitHubError, openGitHub, readAnswer, type GitHub } from './github-api.js';
export { neededBySome, readCommandInputs, type Filled, type NeedsOfCommands } from './command-inputs.js';
export { concurrencyInput, locationInputs, neonInputs, runInputs, selectionInputs } from './common-inputs.js';
export { planFileInputs, planFileProblems, rolloutInputs, shardingInputs } from './fleet-inputs.js';
export {
  booleanInput,
  choiceInput,
  choicesInput,
  durationInput,
  InputError,
  integerInput,
  linesInput,
  maskSecretInputs,
  parsedInput,
  patternInput,
  readInputs,
  showGiven,
  textInput,
  urlInput,
  type InputDefinition,
  type InputDefinitions,
  type InputProblem,
  type InputValues,
} from './inputs.js';
export { secretForms } from './masking.js';
export { tellIdleExclusions } from './idle-exclusions.js';
export { logTenant } from './log-tenant.js';
export { commonOutputs, gateOutputs, planOutputs, type OutputDefinition, type OutputDefinitions } from './outputs.js';
export { migrationInputs, migrationsFolderProblems } from './migration-inputs.js';
export { printable, printableLine } from './printable.js';
export { renderPlanSummary, type PlanCost } from './plan-summary.js';
export { publishMerged, type MergedRun } from './publish-merged.js';
export { publishPlan, type PublishedPlan } from './publish-plan.js';
export { publishRun, type FinishedRun } from './publish.js';
export { runAction, type ActionContext } from './run-action.js';
export { setSecretOutput } from './secret-output.js';
export {
  checkStorage,
  checkStorages,
  openStorage,
  storageInputs,
  Stores,
  type StorageInputs,
} from './storage-access.js';
export { listenForStop, type Stop } from './stop.js';
export { runUrl, writeSummary } from './announce.js';
export { renderSummary } from './summary.js';
export { durationWords } from './words.js';
export { parseMoment } from './moment.js';
export { openNeonFor, type NeonAccess, type SharedAccess } from './neon-access.js';
export { castDoubt, openCatalogIfThere, openNeededCatalog, tellCatalog } from './catalog.js';
export { catalogInputs, catalogOutputs, catalogProblems, sourceInputs } from './catalog-inputs.js';
export { eventOf, knownTenants, runRecordOf, type KnownTenant } from './catalog-record.js';
export { catalogProjectOf, discoverFleet, mayBePrivate, type FleetSource } from './discover-fleet.js';
export { countInCatalog, type CountedFailures } from './fleet-failures.js';
export { sparingCatalog } from './sparing-catalog.js';
export { tellRun } from './tell-run.js';
