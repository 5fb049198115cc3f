import { z } from 'zod';

import { ExplainedError } from '../errors/index.js';
import { COMPRESSIONS, DUMP_FORMATS } from './formats.js';
import { defaultGrantsSchema, grantsSchema, membershipSchema, roleSchema } from './roles.js';

/** What was recorded of the database in the snapshot that the dump was made from. */
const contentsSchema = z.object({
  snapshotAt: z.iso.datetime(),
  /** Whether something of the database was left out on purpose. */
  partial: z.boolean(),
  /** Exact, of each table whose rows are in the dump, by its quoted name; absent when it was not asked for. */
  rowCounts: z.record(z.string(), z.int().nonnegative()).exactOptional(),
  /** What each sequence is set to, by its quoted name; absent where the dump cannot be read as it goes by. */
  sequences: z
    .record(z.string(), z.object({ value: z.string().regex(/^-?\d+$/), called: z.boolean() }))
    .exactOptional(),
  /** Number and fingerprint of the objects of each kind. */
  schema: z.record(z.string(), z.object({ count: z.int().positive(), sha256: z.string() })),
  extensions: z.array(z.object({ name: z.string(), version: z.string() })),
  /** What drizzle's table said: how many migrations, and the last of them. */
  migrations: z
    .object({ applied: z.int().nonnegative(), lastHash: z.string(), lastCreatedAt: z.number() })
    .exactOptional(),
  roles: z.array(roleSchema),
  memberships: z.array(membershipSchema),
  grants: z.array(grantsSchema),
  defaultGrants: z.array(defaultGrantsSchema),
});
export type Contents = Readonly<z.infer<typeof contentsSchema>>;

/**
 * What is known about a backup. It lies beside it and is written last: an object without one is no backup. Holds nothing
 * secret, and all that a restore needs when the project, and Neon itself, are gone.
 */
export const manifestSchema = z.object({
  /** 1 is what version 0.1 wrote: plain, with gzip, and without contents. */
  schemaVersion: z.union([z.literal(1), z.literal(2)]),
  projectId: z.string().min(1),
  /** The project's name at that time. */
  name: z.string(),
  branchId: z.string().exactOptional(),
  database: z.string().min(1),
  role: z.string(),
  /** Where it was dumped from, `host:port/database`: what it is never restored over. */
  source: z.string().exactOptional(),
  /** Key of the object that this is about: a manifest that lies beside another one is refused. */
  key: z.string().min(1),
  format: z.enum(DUMP_FORMATS),
  compression: z.enum(COMPRESSIONS),
  /** Size of the stored object. */
  sizeBytes: z.int().positive(),
  /** Size of the dump before compression. */
  dumpBytes: z.int().positive(),
  /** Of the stored object, in hexadecimal. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  startedAt: z.iso.datetime(),
  finishedAt: z.iso.datetime(),
  postgres: z.object({
    /** As the server gives it: `17.5`. */
    server: z.string().regex(/^\d+/),
    pgDump: z.string().regex(/^\d+(\.\d+)?$/),
  }),
  tool: z.object({ name: z.literal('neon-fleet'), version: z.string() }),
  actor: z.string().exactOptional(),
  runUrl: z.string().exactOptional(),
  contents: contentsSchema.exactOptional(),
});

export type Manifest = Readonly<z.infer<typeof manifestSchema>>;

/** A manifest as it is stored. */
export function renderManifest(manifest: Manifest): Buffer {
  return Buffer.from(`${JSON.stringify(manifestSchema.parse(manifest), null, 2)}\n`);
}

/**
 * Reads a manifest and checks that it is about the object that it lies beside.
 *
 * @throws ExplainedError that says what is wrong with it.
 */
export function readManifest(text: string, objectKey: string): Manifest {
  const parsed = manifestSchema.safeParse(jsonOf(text));
  if (!parsed.success) {
    const where = parsed.error.issues
      .slice(0, 3)
      .map(({ path, message }) => `${path.join('.') || 'all of it'}: ${message}`);
    throw new ExplainedError({
      message: `the manifest of ${objectKey} cannot be read (${where.join('; ')})`,
      hint: 'It was changed after it was written, or a newer version of neon-fleet wrote it. Choose another backup by its key.',
    });
  }
  if (parsed.data.key !== objectKey) {
    throw new ExplainedError({
      message: `the manifest beside ${objectKey} is the one of ${parsed.data.key}`,
      hint: 'Somebody moved or copied objects in the bucket. Choose another backup by its key.',
    });
  }
  return parsed.data;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
