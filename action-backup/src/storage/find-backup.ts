import {
  instantOf,
  type Manifest,
  manifestKey,
  newestFirst,
  type ParsedKey,
  parseKey,
  readManifest,
} from '@neon-fleet/shared/backups';
import { explain, ExplainedError } from '@neon-fleet/shared/errors';
import { isNotFound, placeOf, S3Error, type ObjectStore } from '@neon-fleet/shared/s3';
import pMap from 'p-map';

import { ageWords } from '../words/ages.js';

type Store = Pick<ObjectStore, 'bucket' | 'get' | 'list'>;

/** Which backup is meant. */
export type WantedBackup =
  | { readonly key: string }
  /** The newest of a tenant, which is named by project id or exact name. */
  | {
      readonly tenant: string;
      readonly database: string | undefined;
      /** The newest at or before this moment, and not more than so much older. */
      readonly at?: Moment;
    };

/** A moment that a backup is wanted of. */
export interface Moment {
  readonly moment: Date;
  readonly maxGapMs: number;
  /** Why it is a backup, and not the very moment; empty when there is nothing to say. */
  readonly why?: string;
}

export interface FindOptions {
  /** Normalised: empty, or with a slash at its end. */
  readonly prefix: string;
  readonly signal: AbortSignal;
  readonly onNote: (line: string) => void;
}

const READS_AT_A_TIME = 16;

/**
 * Finds a backup in the bucket alone, so that it works on the day that the project, or Neon, is gone.
 *
 * @throws ExplainedError when there is none, or when the name fits several; S3Error.
 */
export async function findBackup(store: Store, wanted: WantedBackup, options: FindOptions): Promise<Manifest> {
  if ('key' in wanted) return readManifestOf(store, wanted.key, options.signal);
  const ofProject = await listBackups(store, `${options.prefix}${wanted.tenant}/`, options);
  const backups = ofProject.length > 0 ? ofProject : await backupsOfName(store, wanted.tenant, options);
  const ofDatabase = oneDatabase(backups, wanted);
  return chooseBackup(store, ofDatabase, wanted.at, options);
}

/**
 * Chooses out of the backups of one database that are known already.
 *
 * @throws ExplainedError when there is none; S3Error.
 */
export function chooseBackup(
  store: Store,
  backups: readonly ParsedKey[],
  at: Moment | undefined,
  options: FindOptions,
): Promise<Manifest> {
  return newestReadable(store, at === undefined ? backups : upTo(backups, at), options);
}

/** The backups at or before a moment, provided that the newest of them is near enough to it. */
function upTo(backups: readonly ParsedKey[], { moment, maxGapMs, why = '' }: Moment): ParsedKey[] {
  const dated = backups.flatMap((backup) => {
    const instant = instantOf(backup.timestamp);
    return instant === undefined || instant > moment ? [] : [{ backup, gapMs: moment.getTime() - instant.getTime() }];
  });
  const near = dated.filter(({ gapMs }) => gapMs <= maxGapMs).map(({ backup }) => backup);
  if (near.length > 0) return near;
  const nearest = dated.toSorted((a, b) => a.gapMs - b.gapMs).at(0);
  const because = why === '' ? '' : ` (not the very moment: ${why})`;
  throw new ExplainedError({
    message:
      nearest === undefined
        ? `there is no backup from ${moment.toISOString()} or before${because}`
        : `the newest backup at or before ${moment.toISOString()} is ${ageWords(nearest.gapMs)} older, which is more than max-gap: ${nearest.backup.objectKey}${because}`,
    hint: 'Raise max-gap to accept it. Inside the history window of the project target: branch restores the very moment: see docs/restore.md.',
  });
}

async function readManifestOf(store: Store, key: string, signal: AbortSignal): Promise<Manifest> {
  const text = await store.get(manifestKey(key), signal).catch((thrown: unknown) => {
    if (!isNotFound(thrown)) throw thrown;
    throw new ExplainedError({
      message: `there is no backup ${placeOf(store.bucket, key)}: it has no manifest beside it`,
      hint: 'Is the key complete, with its prefix? A dump without manifest was never finished.',
    });
  });
  return readManifest(text.toString('utf8'), key);
}

/** All backups (what has a manifest) below a prefix. */
async function listBackups(store: Store, below: string, { prefix, signal }: FindOptions): Promise<ParsedKey[]> {
  const manifests: ParsedKey[] = [];
  for await (const page of store.list(below, { signal })) {
    for (const { key } of page) {
      const parsed = parseKey(prefix, key);
      if (parsed?.kind === 'manifest') manifests.push(parsed);
    }
  }
  return manifests;
}

/** The backups of the project that had this name when it was last backed up. */
async function backupsOfName(store: Store, name: string, options: FindOptions): Promise<ParsedKey[]> {
  const all = await listBackups(store, options.prefix, options);
  const byProject = groupByProject(all);
  const named = await pMap(
    byProject.values(),
    async (backups) => {
      const [newest] = newestFirst(backups);
      if (newest === undefined) return [];
      try {
        const manifest = await readManifestOf(store, newest.objectKey, options.signal);
        return manifest.name === name ? [backups] : [];
      } catch (thrown) {
        if (thrown instanceof S3Error || options.signal.aborted) throw thrown;
        options.onNote(`Not considered: ${explain(thrown).message}`);
        return [];
      }
    },
    { concurrency: READS_AT_A_TIME },
  );
  const [only, ...others] = named.flat();
  if (only === undefined) {
    throw new ExplainedError({
      message: `there is no backup of a tenant with the id or name ${JSON.stringify(name)} in ${placeOf(store.bucket, options.prefix)}`,
      hint: `Backups of ${byProject.size} projects are there. Check tenant, s3-bucket and s3-prefix.`,
    });
  }
  if (others.length > 0) {
    const ids = [only, ...others].map((backups) => backups[0]?.projectId ?? '').toSorted();
    throw new ExplainedError({
      message: `${ids.length} projects were called ${JSON.stringify(name)} when they were last backed up: ${ids.join(', ')}`,
      hint: 'Set tenant to the id of the one that is meant.',
    });
  }
  return only;
}

function oneDatabase(
  backups: readonly ParsedKey[],
  { tenant, database }: { tenant: string; database: string | undefined },
): ParsedKey[] {
  const names = [...new Set(backups.map((backup) => backup.database))].toSorted();
  const chosen = database ?? (names.length === 1 ? names[0] : undefined);
  const found = backups.filter((backup) => backup.database === chosen);
  if (found.length > 0) return found;
  const list = names.map((name) => JSON.stringify(name)).join(', ');
  throw new ExplainedError({
    message:
      database === undefined
        ? `the tenant ${JSON.stringify(tenant)} has backups of several databases: ${list}`
        : `the tenant ${JSON.stringify(tenant)} has no backup of a database ${JSON.stringify(database)}, only of ${list}`,
    hint: 'Set the input database to one of them.',
  });
}

async function newestReadable(store: Store, backups: readonly ParsedKey[], options: FindOptions): Promise<Manifest> {
  let failure: Error | undefined;
  for (const { objectKey } of newestFirst(backups)) {
    try {
      return await readManifestOf(store, objectKey, options.signal);
    } catch (thrown) {
      // A store that fails says nothing about the backup: an older one in its place would be silent loss of data.
      if (thrown instanceof S3Error || options.signal.aborted) throw thrown;
      failure ??= thrown instanceof Error ? thrown : new Error(String(thrown));
      options.onNote(`Passed over: ${explain(thrown).message}`);
    }
  }
  throw failure ?? new ExplainedError({ message: 'there is no backup that has a manifest' });
}

function groupByProject(backups: readonly ParsedKey[]): Map<string, ParsedKey[]> {
  const groups = new Map<string, ParsedKey[]>();
  for (const backup of backups) {
    const group = groups.get(backup.projectId);
    if (group === undefined) groups.set(backup.projectId, [backup]);
    else group.push(backup);
  }
  return groups;
}
