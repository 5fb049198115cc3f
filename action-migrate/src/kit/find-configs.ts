import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import path from 'node:path';

import { ExplainedError } from '@neon-fleet/shared/errors';
import picomatch from 'picomatch';

/** What the input drizzle-config says: one file for all tenants, or a pattern with a file for each. */
export type DrizzleConfigs =
  | { readonly kind: 'one'; readonly file: string }
  | { readonly kind: 'each'; readonly pattern: string; readonly files: readonly string[] };

/** The names that drizzle-kit itself looks for. */
const DEFAULTS = ['drizzle.config.ts', 'drizzle.config.js', 'drizzle.config.json'] as const;

const NEVER_ENTERED: ReadonlySet<string> = new Set(['node_modules', '.git']);

/**
 * Finds the files that drizzle-config names.
 *
 * @param given a path, a glob such as `configs/*` + `/drizzle.config.ts`, or nothing for drizzle-kit's own default.
 * @param cwd where the paths start.
 * @throws ExplainedError when a file that is named is not there.
 */
export async function findConfigs(given: string | undefined, cwd: string): Promise<DrizzleConfigs> {
  if (given === undefined) {
    const file = DEFAULTS.find((name) => existsSync(path.join(cwd, name)));
    if (file !== undefined) return { kind: 'one', file };
    throw new ExplainedError({
      message: `there is no drizzle.config.ts (.js, .json) in ${JSON.stringify(path.resolve(cwd))}; nothing was done`,
      hint: 'Is the repository checked out? Set the input drizzle-config to the file.',
    });
  }
  // A path that exists is one, whatever characters are in it.
  if (existsSync(path.resolve(cwd, given))) return { kind: 'one', file: given };
  const { base, isGlob } = picomatch.scan(given);
  if (!isGlob) {
    throw new ExplainedError({
      message: `drizzle-config: there is no file ${JSON.stringify(given)}; nothing was done`,
      hint: 'It is taken from the working directory. Is the repository checked out?',
    });
  }
  const matches = picomatch(path.normalize(given));
  const files = (await filesBelow(cwd, base)).filter((file) => matches(file));
  return { kind: 'each', pattern: given, files: files.toSorted() };
}

/** All files below a folder, as paths from `cwd`. Links are not followed: they may go round in circles. */
async function filesBelow(cwd: string, folder: string): Promise<string[]> {
  const entries = await readdir(path.resolve(cwd, folder), { withFileTypes: true }).catch(() => []);
  const found = await Promise.all(
    entries.map(async (entry) => {
      const name = path.join(folder, entry.name);
      if (entry.isDirectory()) return NEVER_ENTERED.has(entry.name) ? [] : filesBelow(cwd, name);
      return [name];
    }),
  );
  return found.flat();
}
