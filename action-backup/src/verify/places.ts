import { openNeonFor, type ActionContext } from '@neon-fleet/shared/actions';
import { explain } from '@neon-fleet/shared/errors';
import { prepareLibpqTrust, trustedAuthorities } from '@neon-fleet/shared/postgres';

import type { VerifyValues } from '../inputs.js';
import { placesInBranches } from './branch-place.js';
import { placesOnRunner, type PlaceForDrill } from './drill-place.js';
import { startScratchServer, type ScratchServer } from './scratch-server.js';
import { CannotTry } from './verify.js';

/** Where the drills of one job are held; disposing of it removes all that is still there. */
export interface Places extends AsyncDisposable {
  readonly place: PlaceForDrill;
}

/** Longer than any job, so that no branch is deleted that a drill still works in. */
const EXPIRE_AFTER_MORE_MS = 3_600_000;

/** Opens what `verify-in` names: servers of the job's own, each started when it is first needed, or branches at Neon. */
export async function openPlaces(
  values: VerifyValues,
  context: Pick<ActionContext, 'stop' | 'mask'>,
  onNote: (line: string) => void,
): Promise<Places> {
  const { signal } = context.stop;
  const { env } = process;
  if (values.verifyIn === 'runner') {
    const servers = new ServersOnDemand((major) => startScratchServer({ major, env, signal, onNote }));
    return { place: placesOnRunner((major) => servers.get(major)), [Symbol.asyncDispose]: () => servers.stop() };
  }
  const access = { ...values, neonApiKey: values.neonApiKey ?? '' };
  const never = { ...context.stop, signal: new AbortController().signal };
  const trust = await prepareLibpqTrust(env);
  const places = placesInBranches({
    neon: openNeonFor(access, context, { share: 2 }),
    cleaner: openNeonFor(access, { mask: context.mask, stop: never }, { share: 2 }),
    trust,
    authorities: await trustedAuthorities(env),
    branch: values.branch,
    expireAfterMs: values.timeLimit + EXPIRE_AFTER_MORE_MS,
    signal,
    onNote,
  });
  return {
    place: places.place,
    async [Symbol.asyncDispose]() {
      await places.releaseAll();
      await trust.dispose();
    },
  };
}

/** One server for each major version, started when it is first needed. */
class ServersOnDemand {
  readonly #servers = new Map<number, Promise<ScratchServer>>();

  constructor(private readonly start: (major: number) => Promise<ScratchServer>) {}

  get(major: number): Promise<ScratchServer> {
    const there = this.#servers.get(major);
    if (there !== undefined) return there;
    const starting = this.start(major).catch((thrown: unknown) => {
      throw new CannotTry(explain(thrown), { cause: thrown });
    });
    this.#servers.set(major, starting);
    return starting;
  }

  async stop(): Promise<void> {
    await Promise.all(
      [...this.#servers.values()].map((server) => server.then((each) => each.stop()).catch(() => undefined)),
    );
  }
}
