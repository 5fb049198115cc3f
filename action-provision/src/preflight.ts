import { ExplainedError } from '@neon-fleet/shared/errors';
import { NeonApiError, type Management } from '@neon-fleet/shared/neon';

type Api = Pick<Management, 'keyDetails' | 'regions'>;

/** Checks once, before the first creation, what would make every creation fail. */
export function preflight(manage: Api, orgId: string | undefined): (region: string | undefined) => Promise<void> {
  let known: Promise<readonly string[]> | undefined;
  return async (region) => {
    known ??= look(manage, orgId);
    const regions = await known;
    if (region === undefined || regions.length === 0 || regions.includes(region)) return;
    throw new ExplainedError({
      message: `Neon has no region ${JSON.stringify(region)}; nothing was created`,
      hint: `It has ${regions.join(', ')}.`,
    });
  };
}

async function look(manage: Api, orgId: string | undefined): Promise<readonly string[]> {
  const { method } = await manage.keyDetails();
  if (method === 'personal' && orgId === undefined) {
    throw new ExplainedError({
      message: 'this is a personal API key, and neon-org-id is not set; nothing was created',
      hint: 'Set neon-org-id to the organisation of the fleet, or use a key of the organisation, which is right for CI.',
    });
  }
  return manage.regions();
}

/** Says what a refused creation means; anything else is thrown as it is. */
export function explainRefusal(thrown: unknown): unknown {
  if (!(thrown instanceof NeonApiError) || thrown.operation !== 'createProject') return thrown;
  const { status, message } = thrown;
  if (status === undefined || status >= 500 || status === 423 || status === 429) return thrown;
  if (/limit|quota|exceeded/i.test(message)) {
    return refusal(
      thrown,
      'the plan of this account has no room for another project',
      'Delete projects that are not needed, or move to a larger plan; Neon raises the limit of paid plans on request.',
    );
  }
  if (status === 403 || status === 404) {
    return refusal(
      thrown,
      'this API key may not create projects',
      'A project-scoped key cannot. Use a key of the organisation whose owner may create projects.',
    );
  }
  return thrown;
}

function refusal(cause: NeonApiError, message: string, hint: string): ExplainedError {
  return new ExplainedError(
    { message: `${message} (${cause.message})`, hint, ...(cause.code === undefined ? {} : { code: cause.code }) },
    { cause },
  );
}
