import * as core from '@actions/core';
import { eventOf, type ActionContext } from '@neon-fleet/shared/actions';
import { ExplainedError } from '@neon-fleet/shared/errors';
import { tenantOf, type WorkResult } from '@neon-fleet/shared/fleet';
import { findDatabase, NeonApiError, waitForOperations } from '@neon-fleet/shared/neon';
import { connect, parseConnectionUri, trustedAuthorities } from '@neon-fleet/shared/postgres';

import { rotateApplicationRole, TenantLocked } from './application-role/provide.js';
import { handingOn, LOCKED, urisOf } from './application-role/tenant.js';
import { workOnExisting, type ExistingTenant } from './existing.js';
import type { ProvisionInputs } from './inputs.js';
import { setProjectOutputs } from './outputs.js';
import type { ProvisionedProject } from './provision-tenant.js';

/**
 * `rotate`: a new password for the role of each selected tenant. Only Neon knows the password for certain, so whatever is
 * handed on is asked for afterwards: a run that was killed, repeated, or met by another one ends with what is true then.
 */
export async function rotatePasswords(values: ProvisionInputs, context: ActionContext): Promise<void> {
  const authorities = await trustedAuthorities(process.env);
  const rotated: ProvisionedProject[] = [];
  let single = false;
  await workOnExisting(values, context, {
    work: async (existing) => {
      single = existing.isOnly;
      try {
        const { reached, result } = await rotate(existing, values, { authorities, mask: context.mask });
        rotated.push(reached);
        return result;
      } catch (thrown) {
        if (thrown instanceof TenantLocked) return LOCKED;
        throw thrown;
      }
    },
    news: (now) => ({
      events: rotated.map(({ projectId }) =>
        eventOf('provision', 'password-rotated', projectId, now, { repeats: true }),
      ),
    }),
  });
  setProjectOutputs(rotated, { single, mask: context.mask });
  if (rotated.length > 0) core.info('Sessions that are open go on; new ones need the new password.');
}

interface Rotated {
  readonly reached: ProvisionedProject;
  readonly result: WorkResult;
}

/** Each of them a new look after a write: two runs at once need one more, as the second one is the last. */
const MOST_LOOKS = 5;

interface Surroundings {
  readonly authorities: readonly string[] | undefined;
  readonly mask: (secret: string) => void;
}

async function rotate(
  existing: ExistingTenant,
  values: ProvisionInputs,
  { authorities, mask }: Surroundings,
): Promise<Rotated> {
  const { neon, tenant, project: find, signal, note } = existing;
  const application = tenant.settings['application-role'];
  // Where there is a role for the application the secret is about that one.
  const secrets = application === undefined ? existing.secrets : undefined;
  const project = find();
  const { projectId, name, regionId, pgVersion } = project;
  const before = await findDatabase(neon, tenantOf(project, tenant.settings));
  const { role, database } = before;
  // First, as this can find that somebody else is at it: then nothing has been changed yet.
  const provided = application === undefined ? undefined : await rotateApplication(application, before.uri);
  const branchId = before.branchId ?? (await neon.defaultBranch(projectId)).id;
  const operations = await resetPassword(neon, projectId, branchId, role, note);
  await waitForOperations(neon, projectId, operations, { signal });

  let uri = await neon.connectionUri({ projectId, branchId, database, role });
  if (uri === before.uri) {
    throw new ExplainedError({
      message: `Neon gives the same password for ${JSON.stringify(role)} as before`,
      hint: 'Nothing was handed on. Run again; should it stay so, look at the role in the Neon console.',
    });
  }
  let secret: string | undefined;
  // Another run may have changed it again in the meantime, and may have written its secret before this one.
  for (let look = 1; secrets !== undefined && look <= MOST_LOOKS; look += 1) {
    secret = await secrets.publish(tenant, uri);
    const now = await neon.connectionUri({ projectId, branchId, database, role });
    if (now === uri) break;
    uri = now;
  }
  const connection = await connect(parseConnectionUri(uri), {
    signal,
    authorities,
    applicationName: 'neon-fleet provision',
  });
  await connection.close();
  const pooledUri = await neon.connectionUri({ projectId, branchId, database, role, pooled: true });
  const words = `new password for ${role}, connected with it${secret === undefined ? '' : `; secret ${secret} written`}`;
  return {
    reached: {
      key: tenant.key,
      name,
      projectId,
      created: false,
      ready: false,
      host: parseConnectionUri(uri).host,
      found: { ...before, branchId, uri },
      pooledUri,
      ...(provided?.uri === undefined ? {} : { application: urisOf({ pooledUri }, provided.uri) }),
      regionId,
      pgVersion,
    },
    result: {
      status: 'succeeded',
      projectId,
      detail: [words, ...(provided?.done ?? [])].join('; '),
    },
  };

  async function rotateApplication(
    applicationRole: string,
    ownerUri: string,
  ): Promise<{ done: readonly string[]; uri?: string }> {
    const isTold = existing.isOnly && Boolean(process.env['GITHUB_OUTPUT']);
    const handOn = handingOn(tenant, existing.secrets, isTold);
    // A password that nobody is told would only lock the application out.
    if (handOn === undefined)
      return { done: [`that of ${applicationRole} was left: there is no github-secret to hand it on`] };
    const withheld = { schema: values.migrationsSchema, table: values.migrationsTable };
    const options = {
      role: applicationRole,
      withheld,
      lockWaitMs: values.lockWait,
      authorities,
      mask,
      signal,
      note,
      handOn,
    };
    return rotateApplicationRole(ownerUri, options);
  }
}

/** A change whose answer was lost may not have been made. Making it again only gives one more password nobody has yet. */
async function resetPassword(
  neon: ExistingTenant['neon'],
  projectId: string,
  branchId: string,
  role: string,
  note: (line: string) => void,
) {
  try {
    return (await neon.manage.resetRolePassword(projectId, branchId, role)).operations;
  } catch (thrown) {
    if (!(thrown instanceof NeonApiError && thrown.mayHaveBeenCarriedOut)) throw thrown;
    note(`${thrown.message}; doing it again`);
    return (await neon.manage.resetRolePassword(projectId, branchId, role)).operations;
  }
}
