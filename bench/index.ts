// npm run bench -- migrate: measures an action against the way it replaces and against the least that is possible, both
// sides in one run on this machine, and keeps the figures in bench/results.
import { existsSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

import { ACTIONS, ROOT } from '../scripts/actions.js';

const [name = ''] = process.argv.slice(2);
const available = ACTIONS.filter((action) => existsSync(path.join(ROOT, 'bench', `${action}.ts`)));
if (!available.some((action) => action === name)) {
  console.error(`Which one? npm run bench -- ${available.join(' | ')}`);
  process.exit(1);
}
const { bench } = (await import(pathToFileURL(path.join(ROOT, 'bench', `${name}.ts`)).href)) as {
  bench: (only: readonly string[]) => Promise<void>;
};
await bench(process.argv.slice(3));
