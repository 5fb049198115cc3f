import {
  type Manifest,
  manifestKey,
  newestFirst,
  type ParsedKey,
  parseKey,
  readManifest,
} from '@neon-fleet/shared/backups';
import { explain, ExplainedError } from '@neon-fleet/shared/errors';
import { selectTenants, type Tenant } from '@neon-fleet/shared/fleet';
import { S3Error, type ListedObject, type ObjectStore } from '@neon-fleet/shared/s3';
import pMap from 'p-map';

import { EVERY_DATABASE } from '../commands/every-database.js';

/** What the bucket holds of one database. */
export interface StoredDatabase {
  readonly projectId: string;
  readonly database: string;
  /** All keys in our format, backups or not. */
  readonly objects: readonly ListedObject[];
  /** What has an object and a manifest, newest first. */
  readonly backups: readonly ParsedKey[];
}

/** The same with the newest manifest that can be read, which knows the name. */
export interface NamedDatabase extends StoredDatabase {
  readonly newest: Manifest | undefined;
  /** The project's name when it was last backed up; its id when no manifest says. */
  readonly name: string;
}

type Store = Pick<ObjectStore, 'bucket' | 'get' | 'list'>;

interface ReadOptions {
  /** Normalised: empty, or with a slash at its end. */
  readonly prefix: string;
  readonly signal: AbortSignal;
  readonly onNote: (line: string) => void;
}

const READS_AT_A_TIME = 16;

/**
 * Reads what lies below a prefix, for commands that need S3 only.
 *
 * @throws S3Error, or the reason of the signal.
 */
export async function readInventory(store: Store, options: ReadOptions): Promise<NamedDatabase[]> {
  const groups = new Map<string, { id: ParsedKey; objects: ListedObject[]; parsed: ParsedKey[] }>();
  for await (const page of store.list(options.prefix, { signal: options.signal })) {
    for (const object of page) {
      const parsed = parseKey(options.prefix, object.key);
      if (parsed === undefined) continue;
      const name = `${parsed.projectId}/${parsed.database}`;
      const group = groups.get(name) ?? { id: parsed, objects: [], parsed: [] };
      groups.set(name, group);
      group.objects.push(object);
      group.parsed.push(parsed);
    }
  }
  const databases = [...groups.values()].map(({ id, objects, parsed }): StoredDatabase => {
    const keys = new Set(objects.map(({ key }) => key));
    const backups = parsed.filter(({ kind, objectKey }) => kind === 'object' && keys.has(manifestKey(objectKey)));
    return { projectId: id.projectId, database: id.database, objects, backups: newestFirst(backups) };
  });
  return pMap(databases, (database) => named(store, database, options), { concurrency: READS_AT_A_TIME });
}

async function named(store: Store, database: StoredDatabase, options: ReadOptions): Promise<NamedDatabase> {
  for (const { objectKey } of database.backups) {
    try {
      const text = await store.get(manifestKey(objectKey), options.signal);
      const newest = readManifest(text.toString('utf8'), objectKey);
      return { ...database, newest, name: newest.name };
    } catch (thrown) {
      // A store that fails says nothing about the backup.
      if (thrown instanceof S3Error || options.signal.aborted) throw thrown;
      options.onNote(`Passed over: ${explain(thrown).message}`);
    }
  }
  return { ...database, newest: undefined, name: database.projectId };
}

/** Whether it is the database that is meant; undefined: all are. */
export function isOfDatabase(stored: Pick<StoredDatabase, 'database'>, database: string | undefined): boolean {
  return database === undefined || database === EVERY_DATABASE || stored.database === database;
}

/**
 * Chooses databases by globs on project id and name, and by the database when one is named.
 *
 * @throws ExplainedError when a pattern matches nothing, as for a run.
 */
export function selectStored<T extends NamedDatabase & { readonly key?: string }>(
  databases: readonly T[],
  { tenants, database }: { readonly tenants: readonly string[]; readonly database: string | undefined },
  where: string,
): T[] {
  const ofDatabase = databases.filter((each) => isOfDatabase(each, database));
  const { selected, unmatched } = selectTenants(
    ofDatabase.map((stored) => ({
      key: stored.key ?? stored.name,
      name: stored.name,
      projectId: stored.projectId,
      stored,
    })),
    tenants,
  );
  if (unmatched.length > 0 || selected.length === 0) {
    const patterns = unmatched.length > 0 ? unmatched : tenants;
    throw new ExplainedError({
      message: `tenants: no backup in ${where} matches ${patterns.map((text) => JSON.stringify(text)).join(', ')}; nothing was done`,
      hint: `A pattern is compared with the id of each project and with the name that it had when it was last backed up. Backups of ${databases.length} databases are there.`,
    });
  }
  return selected.map(({ stored }) => stored);
}

/** The notes of one kind that lie beside a database's backups, newest first. */
export function notesOf(
  { objects }: Pick<StoredDatabase, 'objects'>,
  prefix: string,
  kind: 'verification' | 'coverage',
): ParsedKey[] {
  return newestFirst(
    objects.flatMap(({ key }) => parseKey(prefix, key) ?? []).filter((parsed) => parsed.kind === kind),
  );
}

/** Whom a report is about when only the bucket is known. */
export function tenantOfStored({
  name,
  projectId,
  database,
  newest,
  key = name,
}: NamedDatabase & { readonly key?: string }): Tenant {
  const role = newest?.role ?? '';
  return { key, projectId, name, database, role, assumed: { database: false, role: false }, labels: {} };
}

/** Whom a report is about when one backup is known. */
export function tenantOfManifest({ projectId, name, database, role }: Manifest): Tenant {
  return { key: name, projectId, name, database, role, assumed: { database: false, role: false }, labels: {} };
}
