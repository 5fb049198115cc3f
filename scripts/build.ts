// Bundles every action into dist/, or with --check compares dist/ with a fresh build.
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

import { ACTIONS, ROOT, type ActionName } from './actions.js';

const run = promisify(execFile);
const ncc = createRequire(import.meta.url).resolve('@vercel/ncc/dist/ncc/cli.js');

async function bundle(action: ActionName, into: string): Promise<void> {
  const entry = path.join(ROOT, `action-${action}`, 'src', 'index.ts');
  const folder = path.join(into, action);
  await rm(folder, { recursive: true, force: true });
  const args = [ncc, 'build', entry, '--out', folder, '--license', 'licenses.txt', '--no-cache'];
  await run(process.execPath, args, { cwd: ROOT });
}

async function filesOf(folder: string): Promise<Map<string, Buffer>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
  return new Map(
    await Promise.all(files.map(async (file) => [path.relative(folder, file), await readFile(file)] as const)),
  );
}

async function differences(fresh: string, committed: string): Promise<string[]> {
  const [expected, actual] = await Promise.all([filesOf(fresh), filesOf(committed)]);
  return [...new Set([...expected.keys(), ...actual.keys()])].filter((file) => {
    const [a, b] = [expected.get(file), actual.get(file)];
    return a === undefined || b === undefined || !a.equals(b);
  });
}

const dist = path.join(ROOT, 'dist');
if (process.argv.includes('--check')) {
  const fresh = await mkdtemp(path.join(tmpdir(), 'neon-fleet-build-'));
  try {
    await Promise.all(ACTIONS.map((action) => bundle(action, fresh)));
    const different = await differences(fresh, dist);
    if (different.length > 0) {
      console.error(
        `dist/ is not what the source gives. Run "npm run build" and commit it.\n  ${different.join('\n  ')}`,
      );
      process.exitCode = 1;
    } else {
      console.log('dist/ equals a fresh build.');
    }
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
} else {
  await Promise.all(ACTIONS.map((action) => bundle(action, dist)));
  console.log(ACTIONS.map((action) => `dist/${action}`).join('\n'));
}
