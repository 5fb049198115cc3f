import { randomInt } from 'node:crypto';

/** Whose backup, and of when: what an object's key says. */
export interface BackupId {
  readonly projectId: string;
  readonly database: string;
  /** UTC, to the nanosecond, in a form that sorts: `20261124T114500123456789Z`. */
  readonly timestamp: string;
}

/** What the key of a dump ends with says how to read it; the first is the default. */
export const OBJECT_SUFFIXES = ['.sql.gz', '.sql.zst', '.sql', '.dump'] as const;
export type ObjectSuffix = (typeof OBJECT_SUFFIXES)[number];

/** What lies beside a dump, and is not one. */
const COMPANIONS = {
  /** The commit: a dump without one is no backup. */
  manifest: '.manifest.json',
  /** The outcome of the last drill. */
  verification: '.verified.json',
  /** That the tenant has not changed since this backup. */
  coverage: '.covered.json',
} as const;
type Companion = keyof typeof COMPANIONS;

const DEFAULT_SUFFIX = OBJECT_SUFFIXES[0];
const TIMESTAMP = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(\d{3})\d{6}Z$/;

/** A prefix as keys need it: empty, or with one slash at its end. */
export function normalisePrefix(prefix: string | undefined): string {
  const bare = (prefix ?? '').replace(/^\/+|\/+$/g, '');
  return bare === '' ? '' : `${bare}/`;
}

/**
 * The timestamp of a backup. A clock gives milliseconds; the six digits after them are random, so that two runs that
 * begin in the same instant do not meet in one key, also on stores without conditional writes.
 */
export function backupTimestamp(now: Date, random: () => number = () => randomInt(1_000_000)): string {
  const digits = now.toISOString().replace(/[-:.Z]/g, '');
  return `${digits}${String(random()).padStart(6, '0')}Z`;
}

/** The instant of a timestamp; undefined for what is not one. */
export function instantOf(timestamp: string): Date | undefined {
  const found = TIMESTAMP.exec(timestamp);
  if (found === null) return undefined;
  const [, year, month, day, hour, minute, second, ms] = found;
  const iso = `${year}-${month}-${day}T${hour}:${minute}:${second}.${ms}Z`;
  const instant = new Date(iso);
  // The 31st of February parses as some day in March.
  return Number.isNaN(instant.getTime()) || instant.toISOString() !== iso ? undefined : instant;
}

/** Under what all backups of one database lie. */
export function databasePrefix(prefix: string, projectId: string, database: string): string {
  return `${prefix}${projectId}/${encodeSegment(database)}/`;
}

/** The key of a backup. */
export function objectKey(
  prefix: string,
  { projectId, database, timestamp }: BackupId,
  suffix: ObjectSuffix = DEFAULT_SUFFIX,
): string {
  return `${databasePrefix(prefix, projectId, database)}${timestamp}${suffix}`;
}

/** The key of the manifest that lies beside a backup. */
export function manifestKey(key: string): string {
  return companionKey(key, 'manifest');
}

/** The key of the record of a backup's last drill. */
export function verificationKey(key: string): string {
  return companionKey(key, 'verification');
}

/** The key of the note that a backup still is what the tenant has. */
export function coverageKey(key: string): string {
  return companionKey(key, 'coverage');
}

function companionKey(key: string, companion: Companion): string {
  // The default is left out, all else is kept: what lies beside a dump must lead to the dump by its key alone.
  const base = key.endsWith(DEFAULT_SUFFIX) ? key.slice(0, -DEFAULT_SUFFIX.length) : key;
  return `${base}${COMPANIONS[companion]}`;
}

/** Whether a text ends as the key of a dump does. */
export function isObjectKey(key: string): boolean {
  return OBJECT_SUFFIXES.some((suffix) => key.endsWith(suffix));
}

/** A key that is in exactly our format. */
export interface ParsedKey extends BackupId {
  readonly kind: 'object' | Companion;
  /** The key of the backup itself, also for what lies beside it. */
  readonly objectKey: string;
}

/** Reads a key; undefined for everything that is not in exactly the form that we write. */
export function parseKey(prefix: string, key: string): ParsedKey | undefined {
  if (!key.startsWith(prefix)) return undefined;
  const [projectId, segment, file, ...rest] = key.slice(prefix.length).split('/');
  if (projectId === undefined || projectId === '' || segment === undefined || file === undefined || rest.length > 0) {
    return undefined;
  }
  const read = readFileName(file);
  const database = decodeSegment(segment);
  if (read === undefined || database === undefined || instantOf(read.timestamp) === undefined) return undefined;
  const id = { projectId, database, timestamp: read.timestamp };
  return { ...id, kind: read.kind, objectKey: objectKey(prefix, id, read.suffix) };
}

interface FileName {
  readonly kind: ParsedKey['kind'];
  readonly timestamp: string;
  readonly suffix: ObjectSuffix;
}

function readFileName(file: string): FileName | undefined {
  const suffix = OBJECT_SUFFIXES.find((end) => file.endsWith(end));
  if (suffix !== undefined) return { kind: 'object', timestamp: file.slice(0, -suffix.length), suffix };
  for (const [kind, end] of Object.entries(COMPANIONS) as [Companion, string][]) {
    if (!file.endsWith(end)) continue;
    const base = file.slice(0, -end.length);
    const own = OBJECT_SUFFIXES.find((each) => base.endsWith(each));
    if (own === undefined) return { kind, timestamp: base, suffix: DEFAULT_SUFFIX };
    return own === DEFAULT_SUFFIX ? undefined : { kind, timestamp: base.slice(0, -own.length), suffix: own };
  }
  return undefined;
}

/** A name as one segment of a key: letters, digits and `_ - .` as they are, all else percent-encoded. */
export function encodeSegment(name: string): string {
  if (/^\.+$/.test(name)) return '%2E'.repeat(name.length);
  return encodeURIComponent(name).replace(/[!'()*~]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
}

function decodeSegment(segment: string): string | undefined {
  try {
    const name = decodeURIComponent(segment);
    return name !== '' && encodeSegment(name) === segment ? name : undefined;
  } catch {
    return undefined;
  }
}

/** Backups, or what lies beside them, in order of their time. */
export function newestFirst(keys: readonly ParsedKey[]): ParsedKey[] {
  return keys.toSorted((a, b) => (a.timestamp < b.timestamp ? 1 : -1));
}
