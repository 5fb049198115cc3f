import type { Clock } from './clock.js';

const ONCE_IN_MS = 60_000;

/**
 * Tells that the server refused requests for coming too often: at once the first time, then at most once a minute, each
 * time with how many there were since the last time.
 */
export function throttleNotices(clock: Clock, tell: (times: number) => void): { count(): void; look(): void } {
  let untold = 0;
  let toldAt = -Infinity;
  const look = () => {
    const now = clock.now();
    if (untold === 0 || now - toldAt < ONCE_IN_MS) return;
    const times = untold;
    untold = 0;
    toldAt = now;
    tell(times);
  };
  return {
    count: () => {
      untold += 1;
      look();
    },
    look,
  };
}
