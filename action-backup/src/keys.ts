import { randomInt } from 'node:crypto';

/** Whose backup, and of when: what an object's key says. */
export interface BackupId {
  readonly projectId: string;
  readonly database: string;
  /** UTC, to the nanosecond, in a form that sorts: `20261124T114500123456789Z`. */
  readonly timestamp: string;
}

const OBJECT_SUFFIX = '.sql.gz';
const MANIFEST_SUFFIX = '.manifest.json';
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
export function objectKey(prefix: string, { projectId, database, timestamp }: BackupId): string {
  return `${databasePrefix(prefix, projectId, database)}${timestamp}${OBJECT_SUFFIX}`;
}

/** The key of the manifest that lies beside a backup. */
export function manifestKey(key: string): string {
  return `${key.slice(0, -OBJECT_SUFFIX.length)}${MANIFEST_SUFFIX}`;
}

/** A key that is in exactly our format. */
export interface ParsedKey extends BackupId {
  readonly kind: 'object' | 'manifest';
  /** The key of the backup itself, also for its manifest. */
  readonly objectKey: string;
}

/** Reads a key; undefined for everything that is not in exactly the form that we write. */
export function parseKey(prefix: string, key: string): ParsedKey | undefined {
  if (!key.startsWith(prefix)) return undefined;
  const [projectId, segment, file, ...rest] = key.slice(prefix.length).split('/');
  if (projectId === undefined || projectId === '' || segment === undefined || file === undefined || rest.length > 0) {
    return undefined;
  }
  const kind = file.endsWith(OBJECT_SUFFIX) ? 'object' : 'manifest';
  const suffix = kind === 'object' ? OBJECT_SUFFIX : MANIFEST_SUFFIX;
  if (!file.endsWith(suffix)) return undefined;
  const timestamp = file.slice(0, -suffix.length);
  const database = decodeSegment(segment);
  if (database === undefined || instantOf(timestamp) === undefined) return undefined;
  const id = { projectId, database, timestamp };
  return { ...id, kind, objectKey: objectKey(prefix, id) };
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
