import { instantOf, parseKey } from './keys.js';

/** How long backups are kept. */
export interface RetentionPolicy {
  readonly keepMs: number;
}

/** A backup that may go: both of its keys. */
export interface Deletable {
  readonly key: string;
  readonly manifestKey: string;
}

/** Whose keys are looked at: nothing of anybody else's can be chosen. */
export interface RetentionScope {
  readonly prefix: string;
  readonly projectId: string;
  readonly database: string;
}

/**
 * Chooses the backups of one database that are older than the policy keeps.
 *
 * Only keys in exactly our format, of this project and database, with a manifest beside them; the age comes from the key,
 * not from the store. The newest good backup stays, whatever the policy says.
 */
export function chooseDeletable(
  keys: readonly string[],
  { prefix, projectId, database }: RetentionScope,
  { keepMs }: RetentionPolicy,
  now: Date,
): Deletable[] {
  const own = keys
    .map((key) => ({ key, parsed: parseKey(prefix, key) }))
    .filter(({ parsed }) => parsed?.projectId === projectId && parsed.database === database);
  const objects = new Set(own.filter(({ parsed }) => parsed?.kind === 'object').map(({ key }) => key));
  const good = own
    .flatMap(({ key, parsed }) =>
      parsed?.kind === 'manifest' && objects.has(parsed.objectKey)
        ? [{ key: parsed.objectKey, manifestKey: key, timestamp: parsed.timestamp }]
        : [],
    )
    // Timestamps are of equal length, so that their text sorts as they do.
    .toSorted((a, b) => (a.timestamp < b.timestamp ? 1 : -1));
  return good
    .slice(1)
    .filter(({ timestamp }) => {
      const instant = instantOf(timestamp);
      return instant !== undefined && now.getTime() - instant.getTime() > keepMs;
    })
    .map(({ key, manifestKey }) => ({ key, manifestKey }));
}
