import { reasonOf, type Clock } from './clock.js';
import { TokenBucket } from './token-bucket.js';

/** Neon lets an account make 700 requests a minute; the rest is for the account's own applications. */
export const DEFAULT_RATE_PER_MINUTE = 420;

const BURST_PER_SECOND = 40;

/** Neon's limit for each of its operations. Whoever was given a higher rate than this was given this higher as well. */
export function burstFor(ratePerMinute: number): number {
  return Math.max(BURST_PER_SECOND, Math.ceil(ratePerMinute / 60));
}

export interface RateLimiterOptions {
  /** The most requests in any window of a minute. */
  readonly ratePerMinute: number;
  /** The most requests to one route in any window of a second. */
  readonly burstPerSecond: number;
  readonly clock: Clock;
}

interface Waiter {
  readonly route: string;
  readonly go: () => void;
}

const MINUTE_MS = 60_000;
const SECOND_MS = 1_000;
const PART_AT_ONCE = 8;

/** After a refusal the pace is halved, once for all refusals of a second, down to this part of it. */
const SLOWEST = 1 / 8;
const ONE_SLOWDOWN_MS = 1_000;
/** So long without a refusal, and the pace is doubled again. */
const RECOVERY_MS = 10_000;

/**
 * Lets requests out no faster than the account's limit, in the order in which they came, except that one whose own route
 * is at its limit lets others pass. When the server refuses one for coming too often, all of them slow down.
 */
export class RateLimiter {
  readonly #clock: Clock;
  readonly #burstPerSecond: number;
  readonly #all: TokenBucket;
  readonly #routes = new Map<string, TokenBucket>();
  readonly #waiting = new Set<Waiter>();
  #cancelTimer: () => void = () => undefined;
  #pausedUntil = -Infinity;
  #speed = 1;
  #slowedAt = -Infinity;
  #speedSince = -Infinity;

  constructor({ ratePerMinute, burstPerSecond, clock }: RateLimiterOptions) {
    this.#clock = clock;
    this.#burstPerSecond = burstPerSecond;
    const atOnce = Math.min(burstPerSecond, ratePerMinute / PART_AT_ONCE);
    this.#all = new TokenBucket({ most: ratePerMinute, windowMs: MINUTE_MS, atOnce }, clock.now());
  }

  /**
   * Resolves when a request may go out, and counts it.
   *
   * @throws the reason of the signal as soon as it is aborted; nothing is counted then.
   */
  take(route: string, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(reasonOf(signal));
        return;
      }
      const onAbort = () => {
        this.#waiting.delete(waiter);
        this.#letOut();
        reject(reasonOf(signal));
      };
      const waiter: Waiter = {
        route,
        go: () => {
          signal?.removeEventListener('abort', onAbort);
          resolve();
        },
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#waiting.add(waiter);
      this.#letOut();
    });
  }

  /** The server said that requests come too often, and how long nobody should ask again, if it said so. */
  slowDown(retryAfterMs = 0): void {
    const now = this.#clock.now();
    this.#recover(now);
    this.#pausedUntil = Math.max(this.#pausedUntil, now + retryAfterMs);
    this.#speedSince = now;
    if (now - this.#slowedAt >= ONE_SLOWDOWN_MS) {
      this.#slowedAt = now;
      this.#setSpeed(Math.max(SLOWEST, this.#speed / 2), now);
    }
    this.#all.empty(now);
    this.#letOut();
  }

  #recover(now: number): void {
    const steps = Math.floor((now - this.#speedSince) / RECOVERY_MS);
    if (this.#speed === 1 || steps < 1) return;
    this.#speedSince += steps * RECOVERY_MS;
    this.#setSpeed(Math.min(1, this.#speed * 2 ** steps), now);
  }

  #setSpeed(speed: number, now: number): void {
    this.#speed = speed;
    this.#all.setSpeed(speed, now);
  }

  #letOut(): void {
    this.#cancelTimer();
    const now = this.#clock.now();
    this.#recover(now);
    if (now >= this.#pausedUntil) {
      for (const waiter of this.#waiting) {
        if (this.#all.waitMs(now) > 0) break;
        const route = this.#routeBucket(waiter.route, now);
        if (route.waitMs(now) > 0) continue;
        this.#all.take(now);
        route.take(now);
        this.#waiting.delete(waiter);
        waiter.go();
      }
    }
    if (this.#waiting.size > 0) {
      this.#cancelTimer = this.#clock.after(this.#nextInMs(now), () => this.#letOut());
    }
  }

  /** When somebody who waits may be let out at the earliest, as far as can be told now. */
  #nextInMs(now: number): number {
    const routes = new Set([...this.#waiting].map(({ route }) => route));
    const soonest = Math.min(...[...routes].map((route) => this.#routeBucket(route, now).waitMs(now)));
    // The pace may rise in the meantime; and a timer for no time at all would only turn in a circle.
    const unlessFaster = this.#speed === 1 ? Infinity : RECOVERY_MS;
    return Math.max(1, Math.min(unlessFaster, Math.max(this.#pausedUntil - now, this.#all.waitMs(now), soonest)));
  }

  #routeBucket(route: string, now: number): TokenBucket {
    const known = this.#routes.get(route);
    if (known !== undefined) return known;
    const most = this.#burstPerSecond;
    const made = new TokenBucket({ most, windowMs: SECOND_MS, atOnce: most / PART_AT_ONCE }, now);
    this.#routes.set(route, made);
    return made;
  }
}
