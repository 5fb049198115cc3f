export { childEnvironment, type Environment } from './child-environment.js';
export {
  exitWords,
  runProgram,
  startProgram,
  type FinishedProgram,
  type ProgramExit,
  type ProgramOptions,
  type RunningProgram,
  type RunOptions,
} from './child-process.js';
