import type { Clock } from '../../src/neon/index.js';

/** A clock on which every wait is over as soon as whoever began it is done; it tells how long each of them was. */
export function hurriedClock(onWait: (ms: number) => void = () => undefined): Clock {
  let now = 0;
  return {
    now: () => now,
    after: (ms, call) => {
      const at = now + ms;
      const immediate = setImmediate(() => {
        now = Math.max(now, at);
        onWait(ms);
        call();
      });
      return () => clearImmediate(immediate);
    },
  };
}

interface Alarm {
  readonly at: number;
  readonly call: () => void;
}

/** A clock that stands still until it is told to go on. */
export class VirtualClock implements Clock {
  #now = 0;
  readonly #alarms = new Set<Alarm>();

  now(): number {
    return this.#now;
  }

  after(ms: number, call: () => void): () => void {
    const alarm = { at: this.#now + Math.max(0, ms), call };
    this.#alarms.add(alarm);
    return () => this.#alarms.delete(alarm);
  }

  /** Whether anybody waits. */
  get isAwaited(): boolean {
    return this.#alarms.size > 0;
  }

  /** Goes on by so much, waking whoever waits for a moment on the way, in the order of the moments. */
  async advance(ms: number): Promise<void> {
    await settled();
    const until = this.#now + ms;
    for (;;) {
      const next = this.#next();
      if (next === undefined || next.at > until) break;
      await this.#wake(next);
    }
    this.#now = until;
    await settled();
  }

  /** Goes on until nobody waits. */
  async runOut(): Promise<void> {
    await settled();
    for (let next = this.#next(); next !== undefined; next = this.#next()) await this.#wake(next);
  }

  async #wake(alarm: Alarm): Promise<void> {
    this.#alarms.delete(alarm);
    this.#now = Math.max(this.#now, alarm.at);
    alarm.call();
    await settled();
  }

  #next(): Alarm | undefined {
    return [...this.#alarms].reduce<Alarm | undefined>(
      (first, alarm) => (first === undefined || alarm.at < first.at ? alarm : first),
      undefined,
    );
  }
}

/** Lets everybody who was woken do what they do next. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
}
