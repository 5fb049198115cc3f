/** An account's rate limit: so many requests a minute, a sixtieth of which may come at once every second. */
export class RateLimit {
  readonly #perMinute: number;
  #tokens: number;
  #filledAt: number;

  constructor(perMinute: number, now: number) {
    this.#perMinute = perMinute;
    this.#tokens = perMinute;
    this.#filledAt = now;
  }

  /** Counts a request. @returns seconds until the next one would be taken when this one is too many, else 0 */
  take(now: number): number {
    const perMs = this.#perMinute / 60_000;
    this.#tokens = Math.min(this.#perMinute, this.#tokens + (now - this.#filledAt) * perMs);
    this.#filledAt = now;
    if (this.#tokens < 1) return Math.ceil((1 - this.#tokens) / perMs / 1000);
    this.#tokens -= 1;
    return 0;
  }
}
