import { readMigrations, type MigrationFolder } from '@neon-fleet/shared/drizzle';
import type { TenantResult } from '@neon-fleet/shared/fleet';

import { describeConfig, temporaryPlace, type ConfigDescription } from './describe-config.js';
import { kitEnvironment, NO_DATABASE } from './environment.js';
import { findConfigs, type DrizzleConfigs } from './find-configs.js';
import { findDrizzleKit } from './find-kit.js';
import { runDrizzleKit, type DrizzleKitOptions } from './run-drizzle-kit.js';
import { configFor, urlVariables } from './tenant-config.js';

/** What differs from tenant to tenant. */
export type KitTenantOptions = Pick<DrizzleKitOptions, 'note' | 'readRestorePoint'>;

export interface KitEngineOptions extends Omit<
  DrizzleKitOptions,
  'kit' | 'config' | 'folder' | 'table' | 'urlVariables' | keyof KitTenantOptions
> {
  /** The inputs of the same names. */
  readonly drizzleConfig: string | undefined;
  readonly drizzleUrlVariable: string | undefined;
}

/** What a tenant's drizzle.config stands for. */
export interface ConfiguredFolder extends ConfigDescription {
  readonly config: string;
  readonly folder: MigrationFolder;
}

/** `engine: drizzle-kit` for a fleet: what all tenants have in common is looked up once. */
export interface KitEngine {
  /**
   * What a tenant's config says, and the migrations that it leads to.
   *
   * @throws ExplainedError when the tenant has no config, or more than one, or it cannot be used.
   */
  configured(tenant: string): Promise<ConfiguredFolder>;
  /** Migrates the database of a tenant, by its name. */
  migrate(uri: string, tenant: string, options: KitTenantOptions): Promise<TenantResult>;
}

/** @throws ExplainedError when drizzle-kit or its config is not there. */
export async function openKitEngine(options: KitEngineOptions): Promise<KitEngine> {
  const { cwd, env, signal, timeLimitMs, drizzleUrlVariable } = options;
  const kit = await findDrizzleKit(cwd);
  const configs = await findConfigs(options.drizzleConfig, cwd);
  const known = new Map<string, Promise<ConfiguredFolder>>();
  const variablesOf = (tenant: string) => urlVariables(tenant, drizzleUrlVariable, configs.kind);

  async function read(config: string, variables: readonly string[]): Promise<ConfiguredFolder> {
    const placeholders = Object.fromEntries(variables.map((name) => [name, NO_DATABASE]));
    const description = await describeConfig({
      kit,
      config,
      cwd,
      temporary: temporaryPlace(env),
      env: kitEnvironment(env, placeholders),
      signal,
      timeLimitMs,
    });
    return { ...description, config, folder: await readMigrations(description.out) };
  }

  async function configured(tenant: string): Promise<ConfiguredFolder> {
    const config = configOf(tenant, configs);
    const reading = known.get(config) ?? read(config, variablesOf(tenant));
    known.set(config, reading);
    return reading;
  }

  return {
    configured,
    async migrate(uri, tenant, own) {
      const { config, folder, table } = await configured(tenant);
      return runDrizzleKit(uri, { ...options, kit, config, folder, table, urlVariables: variablesOf(tenant), ...own });
    },
  };
}

function configOf(tenant: string, configs: DrizzleConfigs): string {
  return configs.kind === 'one' ? configs.file : configFor(tenant, configs.files, configs.pattern);
}
