import { GITHUB_API, type ActionContext } from '@neon-fleet/shared/actions';
import { ExplainedError } from '@neon-fleet/shared/errors';
import type { DesiredTenant } from '@neon-fleet/shared/fleet';

import type { DesiredFleet } from '../desired.js';
import type { ProvisionInputs } from '../inputs.js';
import { AUTO, secretNames } from './secret-names.js';
import { openSecretStore, type SecretStore } from './secret-store.js';

/** The secrets that hold the tenants' connection URIs. */
export interface TenantSecrets {
  /** Whether a tenant had none when the run began. */
  isMissing(tenant: DesiredTenant): boolean;
  /** Whether it has none now: another run may have written it meanwhile. */
  isStillMissing(tenant: DesiredTenant): Promise<boolean>;
  /** Writes a tenant's connection URI. Gives the name of the secret. */
  publish(tenant: DesiredTenant, uri: string): Promise<string>;
  /** Removes a tenant's secret. Gives its name. */
  remove(tenant: DesiredTenant): Promise<string>;
}

/** How many secrets GitHub keeps for one repository, and for one environment. */
export const MOST_SECRETS = 100;

/**
 * Opens the secrets that `github-secret` asks for; undefined when it does not. Whatever would keep them from being written
 * is found out here, before anything is created or changed.
 *
 * @throws ExplainedError, GitHubError.
 */
export async function openTenantSecrets(
  values: ProvisionInputs,
  { tenants, others }: DesiredFleet,
  { mask, stop }: Pick<ActionContext, 'mask' | 'stop'>,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Promise<TenantSecrets | undefined> {
  const { githubToken, githubEnvironment, command } = values;
  const githubSecret = values.githubSecret?.toLowerCase() === AUTO ? AUTO : values.githubSecret;
  if (githubSecret === undefined) return undefined;
  const names = secretNames(githubSecret, tenants, others);
  // A plan writes none, and a job that only plans should not have to be given such a token.
  if (command === 'plan') return undefined;
  const repository = values.githubRepository ?? env['GITHUB_REPOSITORY'];
  if (githubToken === undefined || repository === undefined) {
    throw new ExplainedError({
      message: `github-secret: ${githubToken === undefined ? 'github-token' : 'github-repository'} is not set; nothing was done`,
      hint: 'Set github-token to a token that may write secrets of the repository; GITHUB_TOKEN cannot.',
    });
  }
  mask(githubToken);
  const store = openSecretStore({
    token: githubToken,
    repository,
    environment: githubEnvironment,
    apiUrl: env['GITHUB_API_URL'] ?? GITHUB_API,
    signal: stop.signal,
  });
  return tenantSecretsOver(store, names, { adds: command !== 'retire' });
}

/** The same over a store. @throws ExplainedError when there is no room for what is added. */
export async function tenantSecretsOver(
  store: SecretStore,
  names: ReadonlyMap<string, string>,
  { adds = true }: { readonly adds?: boolean } = {},
): Promise<TenantSecrets> {
  const existing = new Set(await store.list());
  if (adds) assertRoom(existing, [...names.values()], store.place);
  // GitHub wants writes to come one after another.
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const mine = last.then(work, work);
    last = mine.catch(() => undefined);
    return mine;
  };
  const nameOf = ({ key }: DesiredTenant): string => {
    const name = names.get(key);
    if (name === undefined) throw new Error(`no secret was planned for ${key}`);
    return name;
  };
  return {
    isMissing: (tenant) => !existing.has(nameOf(tenant)),
    async isStillMissing(tenant) {
      return !(await store.list()).includes(nameOf(tenant));
    },
    async publish(tenant, uri) {
      const name = nameOf(tenant);
      await inTurn(() => store.put(name, uri));
      return name;
    },
    async remove(tenant) {
      const name = nameOf(tenant);
      await inTurn(() => store.remove(name));
      return name;
    },
  };
}

function assertRoom(existing: ReadonlySet<string>, wanted: readonly string[], place: string): void {
  const added = wanted.filter((name) => !existing.has(name)).length;
  if (existing.size + added <= MOST_SECRETS) return;
  throw new ExplainedError({
    message: `github-secret: ${place} has ${existing.size} secrets, and ${added} more would be above GitHub's limit of ${MOST_SECRETS}; nothing was done`,
    hint: 'Workflows need no secret for each tenant: provision and migrate fetch the URIs with the one API key. Else select fewer tenants, or spread them over environments with github-environment.',
  });
}
