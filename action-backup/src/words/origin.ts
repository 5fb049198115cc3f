import { runUrl } from '@neon-fleet/shared/actions';

/** Who made a backup and where that can be looked up, as far as the runner says. */
export function originOf(env: Readonly<Record<string, string | undefined>>): { actor?: string; runUrl?: string } {
  const { GITHUB_ACTOR: actor } = env;
  const url = runUrl(env);
  return { ...(actor ? { actor } : {}), ...(url === undefined ? {} : { runUrl: url }) };
}
