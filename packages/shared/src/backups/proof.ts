import { explain, ExplainedError } from '../errors/index.js';
import { placeOf, S3Error, type ObjectStore } from '../s3/index.js';
import { checked, openObject } from './check-object.js';
import { coverageKey, databasePrefix, manifestKey, parseKey, verificationKey } from './keys.js';
import { readManifest, type Manifest } from './manifest.js';
import { readCoverage, readVerification, type Verification } from './notes.js';

/** Whose backup is to be proven, and how good it has to be. */
export interface WantedProof {
  /** Normalised: empty, or with a slash at its end. */
  readonly prefix: string;
  readonly projectId: string;
  /** The branch that the tenant's data is in: a backup of another one says nothing about it. */
  readonly branch: { readonly id: string; readonly isDefault: boolean };
  readonly database: string;
  readonly maxAgeMs: number;
  readonly now: Date;
}

/** A backup that its database may be given up for. */
export interface ProvenBackup {
  readonly database: string;
  readonly key: string;
  readonly sizeBytes: number;
  readonly snapshotAt: Date;
  readonly drilledAt: Date;
  /** Up to when it is known that nobody else has used the database since the snapshot; absent when it is not. */
  readonly quietUntil?: Date;
}

type Store = Pick<ObjectStore, 'bucket' | 'list' | 'get' | 'head' | 'getRange'>;

/**
 * Proves that the newest backup of a database is whole, complete, young, and has been restored in a drill, from nothing
 * but what is in the bucket. An older one that would do is no consolation: that the newest is not good is a reason to look.
 * The whole object is read: what it is about to be the last copy of is worth that.
 *
 * @throws ExplainedError with what it lacks; S3Error, or the reason of the signal.
 */
export async function proveBackup(store: Store, wanted: WantedProof, signal: AbortSignal): Promise<ProvenBackup> {
  const { prefix, projectId, database } = wanted;
  const below = databasePrefix(prefix, projectId, database);
  const keys = new Set<string>();
  for await (const page of store.list(below, { signal })) for (const { key } of page) keys.add(key);
  const newest = [...keys]
    .flatMap((key) => parseKey(prefix, key) ?? [])
    .filter(({ kind }) => kind === 'manifest')
    .toSorted((a, b) => (a.timestamp < b.timestamp ? 1 : -1))
    .at(0);
  if (newest === undefined) throw notProven(database, `there is none in ${placeOf(store.bucket, below)}`);
  const key = newest.objectKey;
  try {
    const manifest = readManifest((await store.get(manifestKey(key), signal)).toString('utf8'), key);
    const drill = keys.has(verificationKey(key)) ? await readVerification(store, key, signal) : undefined;
    const flaw = flawOf(manifest, drill, wanted);
    if (flaw !== undefined) throw notProven(database, flaw);
    let sizeBytes = 0;
    for await (const chunk of checked(await openObject(store, manifest, signal), manifest)) sizeBytes += chunk.length;
    const quiet = keys.has(coverageKey(key)) ? (await readCoverage(store, key, signal))?.quietUntil : undefined;
    return {
      database,
      key,
      sizeBytes,
      snapshotAt: snapshotOf(manifest),
      drilledAt: new Date(drill?.at ?? ''),
      ...(quiet === undefined ? {} : { quietUntil: new Date(quiet) }),
    };
  } catch (thrown) {
    signal.throwIfAborted();
    // A store that fails says nothing about the backup.
    if (thrown instanceof S3Error || thrown instanceof NotProven) throw thrown;
    throw notProven(database, explain(thrown).message, { cause: thrown });
  }
}

/** Clocks differ a little; more than that is no clock but a date that somebody wrote. */
const MOST_AHEAD_MS = 60_000;

/** What a backup lacks, going by its manifest and its last drill; undefined when it lacks nothing. Pure. */
export function flawOf(
  manifest: Manifest,
  drill: Verification | undefined,
  { projectId, branch, database, maxAgeMs, now }: Omit<WantedProof, 'prefix'>,
): string | undefined {
  const { key, contents } = manifest;
  if (manifest.projectId !== projectId || manifest.database !== database) {
    return `${key} is a backup of ${JSON.stringify(manifest.database)} of the project ${manifest.projectId}`;
  }
  // One that names no branch is of the default one.
  if (manifest.branchId === undefined ? !branch.isDefault : manifest.branchId !== branch.id) {
    return `${key} was made of ${manifest.branchId ?? 'the default branch'}, and the data is in the branch ${branch.id}`;
  }
  if (contents === undefined) return `${key} was made by a version that did not record what is in it`;
  if (contents.partial) return `${key} leaves out a part of the database`;
  const ageMs = now.getTime() - snapshotOf(manifest).getTime();
  if (ageMs > maxAgeMs) return `${key} is of ${contents.snapshotAt}, which is longer ago than max-backup-age allows`;
  if (ageMs < -MOST_AHEAD_MS) return `${key} is of ${contents.snapshotAt}, which is still to come`;
  if (drill === undefined) return `${key} has not been verified`;
  if (drill.outcome !== 'passed') return `the drill of ${key} failed: ${drill.detail}`;
  if (drill.method !== 'restore') return `only the checksum of ${key} was verified, and not that it restores`;
  if (new Date(drill.at) < new Date(contents.snapshotAt)) return `the drill of ${key} is older than the backup`;
  return undefined;
}

function snapshotOf({ contents, startedAt }: Manifest): Date {
  return new Date(contents?.snapshotAt ?? startedAt);
}

/** How long after its last look at a database the session that made the backup may still count as active. */
const SETTLING_MS = 5_000;

/**
 * Why the compute may have been used after the backups of its databases, as far as Neon tells; undefined when it was not.
 * The sessions that made the backups are activity too: up to the last of them it is known who else was there. Pure.
 */
export function usedSince(backups: readonly ProvenBackup[], lastActiveAt: Date | undefined): string | undefined {
  if (lastActiveAt === undefined) return undefined;
  const active = backups.filter(({ snapshotAt }) => lastActiveAt > snapshotAt);
  const unknown = active.find(({ quietUntil }) => quietUntil === undefined);
  if (unknown !== undefined) {
    return `somebody may have used ${JSON.stringify(unknown.database)} since its backup of ${unknown.snapshotAt.toISOString()}: the compute was last active at ${lastActiveAt.toISOString()}`;
  }
  if (active.length === 0) return undefined;
  const quietUntil = Math.max(...active.map((backup) => backup.quietUntil?.getTime() ?? 0));
  if (lastActiveAt.getTime() <= quietUntil + SETTLING_MS) return undefined;
  return `the compute was active at ${lastActiveAt.toISOString()}, after the backups (${new Date(quietUntil).toISOString()})`;
}

/** A database has no backup that it may be given up for. */
class NotProven extends ExplainedError {}

function notProven(database: string, why: string, options?: ErrorOptions): NotProven {
  return new NotProven(
    {
      message: `the database ${JSON.stringify(database)} has no good backup: ${why}; nothing was deleted`,
      hint: 'Run backup, then backup with `command: verify`, under the same s3-prefix, and then this again.',
    },
    options,
  );
}
