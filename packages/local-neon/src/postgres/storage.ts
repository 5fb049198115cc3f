import { chmod, mkdtemp, readFile, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** Where a stand-in keeps its files. */
export interface Directories {
  /** For everything that isn't PostgreSQL's, and for what of it no longer fits into memory. */
  readonly main: string;
  /** For PostgreSQL's data; the same as `main`, or a file system in memory. */
  readonly data: string;
}

const GIB = 1024 ** 3;
const MEMORY = '/dev/shm';
/** A database has some three hundred files from the start, so making one takes ten times as long on a disk. */
const ROOM_TO_START = 8 * GIB;
/** With less room than this left, further databases go to disk. */
const ROOM_TO_GO_ON = 3 * GIB;

/**
 * Makes the temporary directories of a stand-in, which every user can pass through but not list.
 *
 * @param inMemory whether PostgreSQL's data should be in memory; when there is plenty of room if `undefined`
 */
export async function makeDirectories(inMemory: boolean | undefined): Promise<Directories> {
  const main = await make(tmpdir());
  if (inMemory === false) return { main, data: main };
  const room = await roomInMemory();
  const wanted = inMemory === true ? room > 0 : room >= ROOM_TO_START;
  return { main, data: wanted ? await make(MEMORY) : main };
}

/** Whether a new database should rather go to disk. */
export async function memoryIsShort({ main, data }: Directories): Promise<boolean> {
  return main !== data && (await roomInMemory()) < ROOM_TO_GO_ON;
}

async function make(parent: string): Promise<string> {
  const directory = await mkdtemp(path.join(parent, 'local-neon-'));
  await chmod(directory, 0o711);
  return directory;
}

/** Bytes that could go there: what the file system takes and the machine has. */
async function roomInMemory(): Promise<number> {
  try {
    const { bavail, bsize } = await statfs(MEMORY);
    const available = /^MemAvailable:\s+(\d+) kB$/m.exec(await readFile('/proc/meminfo', 'utf8'))?.[1];
    return Math.min(bavail * bsize, Number(available ?? 0) * 1024);
  } catch {
    return 0; // no such place on this machine
  }
}
