import {
  openClientFinder,
  prepareLibpqTrust,
  trustedAuthorities,
  type ClientFinder,
  type LibpqTrust,
} from '@neon-fleet/shared/postgres';
import type { Environment } from '@neon-fleet/shared/processes';

/** What all restores of one job share: the client programs are looked for once. */
export interface RestoreSurroundings extends AsyncDisposable {
  readonly env: Environment;
  readonly clients: ClientFinder;
  readonly trust: LibpqTrust;
  /** PEM texts for connections of our own; undefined: the public ones. */
  readonly authorities: readonly string[] | undefined;
}

export async function openRestoreSurroundings(
  env: Environment,
  signal: AbortSignal,
  onNote: (line: string) => void,
): Promise<RestoreSurroundings> {
  const trust = await prepareLibpqTrust(env);
  return {
    env,
    clients: openClientFinder({ env, signal, onNote }),
    trust,
    authorities: await trustedAuthorities(env),
    [Symbol.asyncDispose]: () => trust.dispose(),
  };
}
