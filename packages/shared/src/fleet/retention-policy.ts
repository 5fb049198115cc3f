import { ExplainedError } from '../errors/index.js';

/** Which backups are kept: those that any of its rules keeps. An empty one would keep only the newest. */
export interface RetentionPolicy {
  /** All that are not older than this. */
  readonly keepMs?: number;
  /** That many of the newest. */
  readonly last?: number;
  /** The newest one of each of that many hours, days, weeks, months or years in which there is one. */
  readonly hourly?: number;
  readonly daily?: number;
  readonly weekly?: number;
  readonly monthly?: number;
  readonly yearly?: number;
}

const HOUR_MS = 60 * 60 * 1_000;
const AGE_UNITS: Readonly<Record<string, number>> = { h: HOUR_MS, d: 24 * HOUR_MS, w: 7 * 24 * HOUR_MS };
const PERIOD_UNITS = { h: 'hourly', d: 'daily', w: 'weekly', m: 'monthly', y: 'yearly' } as const;

/** What is accepted, in words. */
export const RETENTION_WORDS =
  'an age such as 7d, a number such as 10 or last=10, or counts by period such as 24h/7d/8w/12m/5y; leave it out to never delete';

/**
 * Reads a policy. One length of time alone (`7d`, `36h`, `8w`) is an age; a number (`10`, `last=10`) counts backups; several
 * parts with slashes between them (`24h/7d/8w/12m/5y`, `last=3/12m`) count hours, days, weeks, months and years.
 *
 * @throws ExplainedError for everything else, since a policy that was misread deletes backups.
 */
export function parseRetention(text: string): RetentionPolicy {
  const parts = text.trim().split('/');
  const [only] = parts;
  if (parts.length === 1 && only !== undefined) {
    const age = /^([1-9]\d{0,4})([hdw])$/.exec(only);
    if (age !== null) return { keepMs: Number(age[1]) * (AGE_UNITS[age[2] ?? ''] ?? 0) };
    const last = lastOf(only);
    if (last !== undefined) return { last };
    throw unreadable(text);
  }
  const policy: { -readonly [Rule in keyof RetentionPolicy]: RetentionPolicy[Rule] } = {};
  for (const part of parts) {
    const found = /^([1-9]\d{0,4})([hdwmy])$/.exec(part);
    const last = part.startsWith('last=') ? lastOf(part) : undefined;
    const rule = found === null ? 'last' : PERIOD_UNITS[found[2] as keyof typeof PERIOD_UNITS];
    const count = found === null ? last : Number(found[1]);
    if (count === undefined || policy[rule] !== undefined) throw unreadable(text);
    policy[rule] = count;
  }
  return policy;
}

function lastOf(text: string): number | undefined {
  const found = /^(?:last=)?([1-9]\d{0,4})$/.exec(text);
  return found === null ? undefined : Number(found[1]);
}

function unreadable(text: string): ExplainedError {
  return new ExplainedError({
    message: `${JSON.stringify(text.slice(0, 100))} is no policy of retention`,
    hint: `Accepted: ${RETENTION_WORDS}.`,
  });
}
