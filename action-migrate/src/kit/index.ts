export { engineInputs, kitInputs } from './inputs.js';
export {
  openKitEngine,
  type ConfiguredFolder,
  type KitEngine,
  type KitEngineOptions,
  type KitTenantOptions,
} from './kit-engine.js';
export { runDrizzleKit, type DrizzleKitOptions } from './run-drizzle-kit.js';
