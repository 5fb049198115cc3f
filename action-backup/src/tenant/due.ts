/** When a tenant needs another backup. */
export interface DueRules {
  /** Undefined: whenever it is asked for. */
  readonly everyMs: number | undefined;
  readonly skipUnchanged: boolean;
  /** After this long a backup is made even if nothing seems to have changed. */
  readonly maxSkipMs: number;
}

/** What is known of a tenant's newest backup and of its use since. */
export interface DueFacts {
  /** When the snapshot of the newest good backup was taken; undefined when there is none. */
  readonly newestAt: Date | undefined;
  /**
   * Up to when it is known that nobody else had used the database since that snapshot: the end of our own session, when
   * it saw nobody else; undefined when it did.
   */
  readonly quietUntil: Date | undefined;
  /** When its compute was last active; undefined when Neon does not say. */
  readonly lastActiveAt: Date | undefined;
}

export type DueDecision = 'due' | 'not-due' | 'idle-since-last-backup';

/** A cron is late or early by minutes: a backup counts as due a little before its time, so that none is left out. */
const SLACK = 0.1;
const MOST_SLACK_MS = 30 * 60 * 1_000;

/** By how much a backup may be early, or late, without being so. */
export function slackMs(everyMs: number): number {
  return Math.min(everyMs * SLACK, MOST_SLACK_MS);
}

/** Decides whether a tenant is to be backed up now. In doubt it is. */
export function decideDue(
  { everyMs, skipUnchanged, maxSkipMs }: DueRules,
  { newestAt, quietUntil, lastActiveAt }: DueFacts,
  now: Date,
): DueDecision {
  if (newestAt === undefined) return 'due';
  const ageMs = now.getTime() - newestAt.getTime();
  if (ageMs < 0) return 'due';
  if (everyMs !== undefined && ageMs < everyMs - slackMs(everyMs)) return 'not-due';
  if (!skipUnchanged || ageMs >= maxSkipMs || quietUntil === undefined || lastActiveAt === undefined) return 'due';
  return lastActiveAt <= quietUntil ? 'idle-since-last-backup' : 'due';
}
