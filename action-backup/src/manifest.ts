import { z } from 'zod';

import { ExplainedError } from '@neon-fleet/shared/errors';

/**
 * What is known about a backup. It lies beside it and is written last: an object without one is no backup. Holds nothing
 * secret, and all that a restore needs when the project, and Neon itself, are gone.
 */
export const manifestSchema = z.object({
  schemaVersion: z.literal(1),
  projectId: z.string().min(1),
  /** The project's name at that time. */
  name: z.string(),
  branchId: z.string().exactOptional(),
  database: z.string().min(1),
  role: z.string(),
  /** Key of the object that this is about: a manifest that lies beside another one is refused. */
  key: z.string().min(1),
  format: z.literal('plain'),
  compression: z.literal('gzip'),
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
