import { readFile } from 'node:fs/promises';
import path from 'node:path';

import { ExplainedError } from '@neon-fleet/shared/errors';
import { z } from 'zod';

/** The repository's own drizzle-kit. */
export interface DrizzleKit {
  /** Its program, to be run by Node. */
  readonly program: string;
  readonly version: string;
}

const packageSchema = z.object({
  version: z.string(),
  bin: z.union([z.string(), z.record(z.string(), z.string())]),
});

/**
 * Finds drizzle-kit as Node finds a package: in the nearest `node_modules` from a folder upwards, so that the one of a
 * monorepo's root counts, too.
 *
 * @throws ExplainedError with the command that installs it.
 */
export async function findDrizzleKit(folder: string): Promise<DrizzleKit> {
  for (let at = path.resolve(folder); ; at = path.dirname(at)) {
    const home = path.join(at, 'node_modules', 'drizzle-kit');
    const text = await readFile(path.join(home, 'package.json'), 'utf8').catch(() => undefined);
    if (text !== undefined) return readKit(home, text);
    if (at === path.dirname(at)) break;
  }
  throw new ExplainedError({
    message: `drizzle-kit is not installed in ${JSON.stringify(path.resolve(folder))} nor above it; nothing was done`,
    hint: 'It is the repository’s own that is run. Check the repository out and install its packages before this step (npm ci), and should it not be among them: npm install --save-dev drizzle-kit',
  });
}

function readKit(home: string, text: string): DrizzleKit {
  const parsed = packageSchema.safeParse(parseJson(text));
  const bin = typeof parsed.data?.bin === 'string' ? parsed.data.bin : parsed.data?.bin['drizzle-kit'];
  if (parsed.data === undefined || bin === undefined) {
    throw new ExplainedError({
      message: `what is in ${JSON.stringify(home)} is not drizzle-kit: its package.json names no program`,
      hint: 'Install it anew: npm install --save-dev drizzle-kit',
    });
  }
  return { program: path.resolve(home, bin), version: parsed.data.version };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
