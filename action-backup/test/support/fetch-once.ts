import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** Longer than what a fetch may take: a lock that is older is nobody's, whoever has its process id by now. */
const LONGEST_FETCH_MS = 540_000;

/** How long a fetch may take, in milliseconds. */
export const FETCH_TIMEOUT_MS = 480_000;

/**
 * Fetches a folder of programs once a machine, though several test files need it at the same time: one of them fetches
 * it, and the others wait for that one, and try no second time when it could not. What is there is there as a whole, also
 * when a fetch was killed.
 *
 * @param program a file below the folder that is there when all is
 * @param fetch puts the folder's contents into another one
 * @returns why it cannot be had, in words; undefined when it is there
 */
export async function fetchOnce(
  folder: string,
  program: string,
  fetch: (into: string) => Promise<void>,
): Promise<string | undefined> {
  const there = () => existsSync(path.join(folder, program));
  const lock = `${folder}.lock`;
  await mkdir(path.dirname(folder), { recursive: true });
  while (!there()) {
    if (await claim(lock)) return fetchHolding(lock, folder, there, fetch);
    if (!(await untilReleased(lock))) continue;
    return there() ? undefined : 'another test file could not get it';
  }
  return undefined;
}

async function fetchHolding(
  lock: string,
  folder: string,
  there: () => boolean,
  fetch: (into: string) => Promise<void>,
): Promise<string | undefined> {
  const into = await mkdtemp(`${folder}-`);
  try {
    // Another may have finished between the look and the claim.
    if (there()) return undefined;
    await fetch(into);
    // Two may have taken over the lock of one that was killed: the folder of the first is in use by now.
    if (there()) return undefined;
    await rm(folder, { recursive: true, force: true });
    await rename(into, folder);
    return there() ? undefined : 'it came without its program';
  } catch (thrown) {
    return String(thrown).slice(0, 200);
  } finally {
    await rm(into, { recursive: true, force: true });
    await rm(lock, { force: true });
  }
}

async function claim(lock: string): Promise<boolean> {
  try {
    await writeFile(lock, String(process.pid), { flag: 'wx' });
    return true;
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw thrown;
  }
}

/** Waits for another's lock. @returns false when its process is gone, or was another's of the same id, and its lock with it */
async function untilReleased(lock: string): Promise<boolean> {
  for (;;) {
    const holder = await readFile(lock, 'utf8').catch(() => undefined);
    if (holder === undefined) return true;
    // Nothing is in it yet for a moment: somebody is about to write.
    if (holder !== '' && (!isAlive(Number(holder)) || (await ageMs(lock)) > LONGEST_FETCH_MS)) {
      await rm(lock, { force: true });
      return false;
    }
    await delay(100);
  }
}

async function ageMs(file: string): Promise<number> {
  const found = await stat(file).catch(() => undefined);
  return found === undefined ? 0 : Date.now() - found.mtimeMs;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (thrown) {
    return (thrown as NodeJS.ErrnoException).code === 'EPERM';
  }
}
