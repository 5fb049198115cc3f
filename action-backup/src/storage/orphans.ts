import { createHash } from 'node:crypto';

import { instantOf, manifestKey, parseKey, type ParsedKey } from '@neon-fleet/shared/backups';
import type { OpenUpload } from '@neon-fleet/shared/s3';

import type { RetentionScope } from '../retention/retention.js';

/** What of this run's own earlier attempts is known: they are over, whatever they left is garbage. */
export interface EarlierAttempts {
  /** The last digits of the timestamps that this run gives, in every attempt. */
  readonly digits: number;
  /** When this attempt began. */
  readonly before: Date;
}

export interface OrphanRules {
  /** From which age on what was never finished is taken for garbage. */
  readonly ageMs: number;
  readonly earlier?: EarlierAttempts | undefined;
}

export interface Orphans {
  readonly objects: readonly string[];
  readonly uploads: readonly OpenUpload[];
}

/**
 * Chooses what is left of backups that never became one: dumps, and notes about backups, without a manifest; and uploads
 * that were not finished. The age comes from the key; what may still be growing is left alone.
 */
export function chooseOrphans(
  keys: readonly string[],
  uploads: readonly OpenUpload[],
  { prefix, projectId, database }: RetentionScope,
  rules: OrphanRules,
  now: Date,
): Orphans {
  const there = new Set(keys);
  const isGarbage = (key: string, kinds: (kind: ParsedKey['kind']) => boolean): boolean => {
    const parsed = parseKey(prefix, key);
    if (parsed?.projectId !== projectId || parsed.database !== database || !kinds(parsed.kind)) return false;
    return !there.has(manifestKey(parsed.objectKey)) && isOver(parsed.timestamp, rules, now);
  };
  return {
    objects: [...there].filter((key) => isGarbage(key, (kind) => kind !== 'manifest')),
    uploads: uploads.filter(({ key }) => isGarbage(key, (kind) => kind === 'object')),
  };
}

function isOver(timestamp: string, { ageMs, earlier }: OrphanRules, now: Date): boolean {
  const instant = instantOf(timestamp);
  if (instant === undefined) return false;
  if (now.getTime() - instant.getTime() > ageMs) return true;
  if (earlier === undefined) return false;
  return Number(timestamp.slice(-7, -1)) === earlier.digits && instant < earlier.before;
}

/**
 * Six digits that mean a job of a run of a workflow, the same in all its attempts; undefined outside a runner. They stand
 * at the end of its timestamps, because an unfinished upload has nothing but its key to tell whose it was.
 */
export function runDigits(env: Readonly<Record<string, string | undefined>>): number | undefined {
  const { GITHUB_REPOSITORY: repository, GITHUB_RUN_ID: run, GITHUB_JOB: job } = env;
  if (!repository || !run) return undefined;
  const digest = createHash('sha256')
    .update([repository, run, job ?? ''].join('\n'))
    .digest();
  return digest.readUInt32BE(0) % 1_000_000;
}

/** What is known of earlier attempts of this run: nothing in the first one. */
export function earlierAttempts(
  env: Readonly<Record<string, string | undefined>>,
  startedAt: Date,
): EarlierAttempts | undefined {
  const digits = runDigits(env);
  const attempt = Number(env['GITHUB_RUN_ATTEMPT'] ?? '1');
  return digits !== undefined && attempt > 1 ? { digits, before: startedAt } : undefined;
}
