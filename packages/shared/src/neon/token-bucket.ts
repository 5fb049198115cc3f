/** How often something may be done. */
export interface Allowance {
  /** The most in any window of this length, wherever it begins; below 1, one every several windows. */
  readonly most: number;
  readonly windowMs: number;
  /** How many of them may come all at once after a quiet time; from 1 to `most`. */
  readonly atOnce: number;
}

/**
 * A token bucket that keeps an allowance in every window, not only on average: what fills up while a burst is spent counts
 * as well, so that the bucket is refilled more slowly by as much as it holds.
 *
 * It decides and does not wait; times are given in, in milliseconds that never go back.
 */
export class TokenBucket {
  readonly #capacity: number;
  readonly #tokensPerMs: number;
  #speed = 1;
  #tokens: number;
  #filledAt: number;

  constructor({ most, windowMs, atOnce }: Allowance, now: number) {
    this.#capacity = Math.max(1, Math.floor(Math.min(atOnce, most)));
    this.#tokensPerMs = (most < 1 ? most : Math.floor(most) - (this.#capacity - 1)) / windowMs;
    this.#tokens = this.#capacity;
    this.#filledAt = now;
  }

  /** How long until there is a token, if nobody takes one before; 0 when there is one. */
  waitMs(now: number): number {
    this.#fill(now);
    return this.#tokens >= 1 ? 0 : (1 - this.#tokens) / (this.#tokensPerMs * this.#speed);
  }

  /** Takes a token; only when {@link waitMs} says 0. */
  take(now: number): void {
    this.#fill(now);
    this.#tokens -= 1;
  }

  /** Refills at a fraction of its pace from now on. */
  setSpeed(speed: number, now: number): void {
    this.#fill(now);
    this.#speed = speed;
  }

  /** Throws away what has gathered for a burst. */
  empty(now: number): void {
    this.#fill(now);
    this.#tokens = Math.min(this.#tokens, 0);
  }

  #fill(now: number): void {
    this.#tokens = Math.min(this.#capacity, this.#tokens + (now - this.#filledAt) * this.#tokensPerMs * this.#speed);
    this.#filledAt = now;
  }
}
