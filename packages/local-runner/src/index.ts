export { LogView, type LogLine } from './log-view.js';
export { parseOutputs } from './output-file.js';
export {
  startAction,
  runAction,
  type ActionRun,
  type FinishedAction,
  type StartActionOptions,
} from './start-action.js';
