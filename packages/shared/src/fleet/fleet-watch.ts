import type { Brakes, FleetFailures, Halt } from './brakes.js';

/** Keeps a shard's failures and those of the others known to each other while it works. */
export interface FleetWatch {
  /** This shard has had another failure. */
  tell(): void;
  /** Resolves when all failures up to now are told, and what follows from those of the others is known. */
  told(): Promise<void>;
  /** Stops asking; resolves when the last failure is told. */
  end(): Promise<void>;
}

export interface WatchOptions {
  /** Of the run: after a stop nobody is started, so that what the others have had does not matter any more. */
  readonly signal: AbortSignal;
  /** Called with the halt that the failures of the others bring about. */
  readonly onHalt: (halt: Halt) => void;
  /** Default: 3 s. */
  readonly askEveryMs?: number;
}

/** How often a shard that has no failures of its own asks for those of the others. */
const ASK_EVERY_MS = 3_000;

const ALONE: FleetWatch = {
  tell: () => undefined,
  told: () => Promise.resolve(),
  end: () => Promise.resolve(),
};

/**
 * Tells each failure to the fleet before anybody else is started, and asks now and then what the others have had. When
 * the fleet cannot be asked the brakes are told so, once, and the shard goes on by itself.
 */
export function watchFleet(
  fleet: FleetFailures | undefined,
  brakes: Brakes,
  { signal, onHalt, askEveryMs = ASK_EVERY_MS }: WatchOptions,
): FleetWatch {
  if (fleet === undefined) return ALONE;
  const isStopped = () => signal.aborted;
  let asking = false;
  let last = Promise.resolve();
  /** Failures that no exchange has begun to tell yet: one exchange tells any number of them. */
  let untold = false;

  const exchange = async (): Promise<void> => {
    if (isStopped() || !brakes.countsFleet) return;
    untold = false;
    asking = true;
    let all: number | undefined;
    try {
      all = await fleet.exchange(brakes.failures);
    } catch {
      // The same as undefined: the port has told why.
    }
    asking = false;
    if (isStopped()) return;
    const halt = brakes.learn(all);
    if (halt !== undefined) onHalt(halt);
  };
  // One after the other, so that an older number never comes after a newer one.
  const enqueue = () => void (last = last.then(exchange));

  // The first one also takes back what an earlier attempt of this shard has told.
  enqueue();
  const timer = setInterval(() => {
    if (!asking) enqueue();
  }, askEveryMs);
  timer.unref();

  return {
    tell() {
      if (untold) return;
      untold = true;
      enqueue();
    },
    told: () => last,
    async end() {
      clearInterval(timer);
      await last;
    },
  };
}
