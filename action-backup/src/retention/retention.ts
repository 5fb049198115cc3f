import {
  coverageKey,
  instantOf,
  manifestKey,
  type ParsedKey,
  parseKey,
  verificationKey,
} from '@neon-fleet/shared/backups';
import type { RetentionPolicy } from '@neon-fleet/shared/fleet';

export type { RetentionPolicy } from '@neon-fleet/shared/fleet';

/** A backup that may go: both of its keys. */
export interface Deletable {
  readonly key: string;
  readonly manifestKey: string;
}

/** What becomes of one backup, and why. */
export interface RetentionDecision extends Deletable {
  readonly timestamp: string;
  /** What else lies beside it and goes with it. */
  readonly companions: readonly string[];
  readonly keep: boolean;
  /** The rules that keep it, in words; of one that goes, that none does. */
  readonly why: string;
}

/** Whose keys are looked at: nothing of anybody else's can be chosen. */
export interface RetentionScope {
  readonly prefix: string;
  readonly projectId: string;
  readonly database: string;
}

/**
 * Decides about every good backup of one database, newest first.
 *
 * Only keys in exactly our format, of this project and database, with a manifest beside them; the age comes from the key,
 * not from the store. The newest good backup stays, whatever the policy says.
 */
export function decideRetention(
  keys: readonly string[],
  scope: RetentionScope,
  policy: RetentionPolicy,
  now: Date,
): RetentionDecision[] {
  const rules = periodRules(policy);
  const backups = goodBackups(keys, scope);
  return backups.map(({ objectKey: key, timestamp, instant, companions }, index) => {
    const reasons: string[] = index === 0 ? ['the newest good one'] : [];
    if (policy.keepMs !== undefined && now.getTime() - instant.getTime() <= policy.keepMs) {
      reasons.push('younger than the age that is kept');
    }
    if (policy.last !== undefined && index < policy.last) reasons.push(`${index + 1} of the last ${policy.last}`);
    const isOldest = index === backups.length - 1;
    reasons.push(...rules.flatMap((rule) => rule.take(instant, isOldest) ?? []));
    const keep = reasons.length > 0;
    const why = keep ? reasons.join(', ') : 'no rule keeps it';
    return { key, manifestKey: manifestKey(key), timestamp, companions, keep, why };
  });
}

/** The backups of one database that the policy does not keep. */
export function chooseDeletable(
  keys: readonly string[],
  scope: RetentionScope,
  policy: RetentionPolicy,
  now: Date,
): Deletable[] {
  return decideRetention(keys, scope, policy, now)
    .filter(({ keep }) => !keep)
    .map(({ key, manifestKey: manifest }) => ({ key, manifestKey: manifest }));
}

interface GoodBackup extends ParsedKey {
  readonly instant: Date;
  readonly companions: readonly string[];
}

/** What has an object and a manifest, newest first. */
function goodBackups(keys: readonly string[], { prefix, projectId, database }: RetentionScope): GoodBackup[] {
  const there = new Set(keys);
  return (
    [...there]
      .flatMap((key): GoodBackup[] => {
        const parsed = parseKey(prefix, key);
        const isOurs = parsed?.projectId === projectId && parsed.database === database;
        if (parsed?.kind !== 'object' || !isOurs || !there.has(manifestKey(key))) return [];
        const instant = instantOf(parsed.timestamp);
        const companions = [verificationKey(key), coverageKey(key)].filter((beside) => there.has(beside));
        return instant === undefined ? [] : [{ ...parsed, instant, companions }];
      })
      // Timestamps are of equal length, so that their text sorts as they do; equal ones differ in their format.
      .toSorted((a, b) => (a.timestamp + a.objectKey < b.timestamp + b.objectKey ? 1 : -1))
  );
}

interface PeriodRule {
  /** The reason to keep the next older backup, if this rule does. */
  take(instant: Date, isOldest: boolean): string | undefined;
}

/**
 * The rules that count periods, as restic counts them: the newest backup of each period that has one, until the number is
 * reached; and the oldest of all while it is not, so that the history grows to its length.
 */
function periodRules(policy: RetentionPolicy): PeriodRule[] {
  const rules: readonly [keyof RetentionPolicy, (instant: Date) => string][] = [
    ['hourly', (instant) => instant.toISOString().slice(0, 13)],
    ['daily', (instant) => instant.toISOString().slice(0, 10)],
    ['weekly', isoWeek],
    ['monthly', (instant) => instant.toISOString().slice(0, 7)],
    ['yearly', (instant) => instant.toISOString().slice(0, 4)],
  ];
  return rules.flatMap(([name, periodOf]) => {
    const count = policy[name];
    if (count === undefined) return [];
    let taken = 0;
    let latest: string | undefined;
    return {
      take(instant: Date, isOldest: boolean) {
        const period = periodOf(instant);
        if (taken >= count || (period === latest && !isOldest)) return undefined;
        latest = period;
        taken += 1;
        return `${name} ${taken} of ${count}`;
      },
    };
  });
}

/** The week of ISO 8601 that a day is in, by the date of its Monday. */
function isoWeek(instant: Date): string {
  const sinceMonday = (instant.getUTCDay() + 6) % 7;
  const day = Date.UTC(instant.getUTCFullYear(), instant.getUTCMonth(), instant.getUTCDate() - sinceMonday);
  return new Date(day).toISOString().slice(0, 10);
}
