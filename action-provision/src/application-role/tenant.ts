import { setSecretOutput } from '@neon-fleet/shared/actions';
import { ExplainedError } from '@neon-fleet/shared/errors';
import type { DesiredTenant, WorkResult } from '@neon-fleet/shared/fleet';
import { parseConnectionUri } from '@neon-fleet/shared/postgres';

import type { TenantSecrets } from '../github/tenant-secrets.js';
import type { ProvisionedProject } from '../provision-tenant.js';
import type { Withheld } from './grants.js';
import { asRole, provideApplicationRole, TenantLocked, type HandOn } from './provide.js';

/** The connections of an application. Secrets. */
export interface ApplicationUris {
  readonly uri: string;
  readonly pooledUri?: string;
}

/** What the run says about the roles of applications. */
export interface ApplicationSettings {
  readonly withheld: Withheld;
  readonly lockWaitMs: number;
  readonly mask: (secret: string) => void;
  /** Whether somebody is told the URI by an output of the step. */
  readonly isTold: boolean;
}

/** Another run, or a migration, has the tenant. */
export const LOCKED = {
  status: 'skipped',
  reason: 'locked',
  detail: 'another run held the tenant all the time; run again',
} as const satisfies WorkResult;

interface Options extends ApplicationSettings {
  readonly authorities: readonly string[] | undefined;
  readonly signal: AbortSignal;
  readonly note: (line: string) => void;
  readonly secrets?: TenantSecrets | undefined;
}

/**
 * Sees to the application's role of a tenant that can be reached, and to the secret that holds its URI. Undefined when the
 * tenant is to have none.
 *
 * @throws ExplainedError when the secret is missing and nobody knows the password any more.
 */
export async function haveApplication(
  reached: ProvisionedProject,
  tenant: DesiredTenant,
  options: Options,
): Promise<{ readonly reached: ProvisionedProject; readonly result: WorkResult } | undefined> {
  const role = tenant.settings['application-role'];
  if (role === undefined) return undefined;
  const { secrets, isTold } = options;
  try {
    const handOn = handingOn(tenant, secrets, isTold);
    const { done, uri, isLocked } = await provideApplicationRole(reached.found.uri, { ...options, role, handOn });
    if (uri === undefined && !isLocked && secrets?.isMissing(tenant) === true) {
      if (await secrets.isStillMissing(tenant)) throw passwordUnknown(role);
    }
    const words = isLocked
      ? [...done, `${role} has no password: there is neither github-secret nor an output to hand it on`]
      : done;
    const detail = words.join('; ');
    return {
      reached: uri === undefined ? reached : { ...reached, application: urisOf(reached, uri) },
      result:
        done.length === 0
          ? { status: 'unchanged', reason: 'up-to-date', detail: detail === '' ? `${role} as it should be` : detail }
          : { status: 'succeeded', detail },
    };
  } catch (thrown) {
    if (!(thrown instanceof TenantLocked)) throw thrown;
    return { reached, result: LOCKED };
  }
}

/**
 * Writes a new URI into the tenant's secret, or else into the output of the step, so that it is not lost when the run
 * fails after the password began to hold. Undefined: there is nobody to take it.
 */
export function handingOn(
  tenant: DesiredTenant,
  secrets: TenantSecrets | undefined,
  isTold: boolean,
): HandOn | undefined {
  if (secrets !== undefined) return async (uri) => `; secret ${await secrets.publish(tenant, uri)} written`;
  if (!isTold) return undefined;
  return (uri) => {
    setSecretOutput('application-uri', uri);
    return Promise.resolve('');
  };
}

/** The direct connection, and the pooled one when the owner's is known. */
export function urisOf({ pooledUri }: Pick<ProvisionedProject, 'pooledUri'>, uri: string): ApplicationUris {
  if (pooledUri === undefined) return { uri };
  const { user, password } = parseConnectionUri(uri);
  return { uri, pooledUri: asRole(pooledUri, user, password) };
}

function passwordUnknown(role: string): ExplainedError {
  return new ExplainedError({
    message: `the secret is missing, and the password of ${JSON.stringify(role)} is known to nobody here; it was left as it is`,
    hint: '`command: rotate` gives it a new password and writes the secret.',
  });
}
