import { z } from 'zod';

import type { ObjectStore } from '../s3/index.js';
import { coverageKey, verificationKey } from './keys.js';

/** The outcome of the last drill of a backup: an object of its own beside it, since a manifest never changes. */
export const verificationSchema = z.object({
  schemaVersion: z.literal(1),
  /** Key of the backup that this is about. */
  key: z.string().min(1),
  method: z.enum(['checksum', 'restore']),
  outcome: z.enum(['passed', 'failed']),
  at: z.iso.datetime(),
  /** What was compared, or what was wrong. */
  detail: z.string(),
  /** The server that it was restored into: `17.5`. */
  server: z.string().exactOptional(),
  runUrl: z.string().exactOptional(),
});
export type Verification = Readonly<z.infer<typeof verificationSchema>>;

/** That a backup is still what the tenant has: nobody has used the database since. */
export const coverageSchema = z.object({
  schemaVersion: z.literal(1),
  key: z.string().min(1),
  /** When it was looked. */
  at: z.iso.datetime(),
  /** The end of the session that made the backup, when it saw nobody else in the database. */
  quietUntil: z.iso.datetime().exactOptional(),
});
export type Coverage = Readonly<z.infer<typeof coverageSchema>>;

export async function writeVerification(
  store: Pick<ObjectStore, 'replace'>,
  verification: Verification,
  signal: AbortSignal,
): Promise<void> {
  await store.replace(described(verificationKey(verification.key)), render(verification), signal);
}

export async function writeCoverage(
  store: Pick<ObjectStore, 'replace'>,
  coverage: Coverage,
  signal: AbortSignal,
): Promise<void> {
  await store.replace(described(coverageKey(coverage.key)), render(coverage), signal);
}

/** Reads the record of a drill that is known to be there; undefined when it is not one, or about another backup. */
export async function readVerification(
  store: Pick<ObjectStore, 'get'>,
  key: string,
  signal: AbortSignal,
): Promise<Verification | undefined> {
  return readNote(await store.get(verificationKey(key), signal), key, verificationSchema);
}

/** The same for the note that a backup covers what the tenant has. */
export async function readCoverage(
  store: Pick<ObjectStore, 'get'>,
  key: string,
  signal: AbortSignal,
): Promise<Coverage | undefined> {
  return readNote(await store.get(coverageKey(key), signal), key, coverageSchema);
}

function readNote<T extends { key: string }>(body: Buffer, key: string, schema: z.ZodType<T>): T | undefined {
  try {
    const note = schema.safeParse(JSON.parse(body.toString('utf8')));
    return note.success && note.data.key === key ? note.data : undefined;
  } catch {
    return undefined;
  }
}

function described(key: string) {
  return { key, contentType: 'application/json', metadata: {} };
}

function render(note: object): Buffer {
  return Buffer.from(`${JSON.stringify(note, null, 2)}\n`);
}
