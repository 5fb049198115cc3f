export { concurrencyInput, locationInputs, neonInputs, runInputs, selectionInputs } from './common-inputs.js';
export {
  booleanInput,
  choiceInput,
  choicesInput,
  durationInput,
  InputError,
  integerInput,
  linesInput,
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
export { commonOutputs, type OutputDefinition, type OutputDefinitions } from './outputs.js';
export { migrationInputs } from './migration-inputs.js';
export { printable, printableLine } from './printable.js';
export { logTenant, publishRun, type FinishedRun } from './publish.js';
export { runAction, type ActionContext } from './run-action.js';
export { listenForStop, type Stop } from './stop.js';
export { renderSummary } from './summary.js';
export { durationWords } from './words.js';
export { openNeonFor, type NeonAccess } from './neon-access.js';
export {
  catalogInputs,
  catalogOutputs,
  openCatalogIfThere,
  runRecordOf,
  tellCatalog,
  type KnownTenant,
} from './catalog.js';
