import { afterAll, describe, expect, test } from '@jest/globals';
import { spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { startLocalNeon } from '../../src/index.js';
import { createProject, query, started } from './support.js';

const root = fileURLToPath(new URL('../../../..', import.meta.url));
const bin = fileURLToPath(new URL('../../bin/local-neon.js', import.meta.url));

interface Facts {
  readonly apiUrl: string;
  readonly apiKey: string;
  readonly caFile: string;
  readonly postgresUrl: string;
}

function launch(args: readonly string[], temporary = tmpdir()) {
  return follow(process.execPath, [bin, ...args], { cwd: '/', env: { TMPDIR: temporary } });
}

function follow(file: string, args: readonly string[], { cwd, env }: { cwd: string; env: Record<string, string> }) {
  const child = spawn(file, args, {
    cwd,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '', ...env },
  });
  const text = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk: Buffer) => (text.stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (text.stderr += chunk.toString()));
  const exit = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)));
  /** Processes that were started with it and still run. */
  const group = () => processes().filter((pid) => groupOf(pid) === child.pid);
  return { child, text, exit, group };
}

async function ready(run: ReturnType<typeof launch>): Promise<Facts> {
  while (!run.text.stdout.includes('\n')) {
    if (run.child.exitCode !== null) throw new Error(run.text.stderr);
    await sleep(20);
  }
  return JSON.parse(run.text.stdout) as Facts;
}

/** Processes that have this directory in their command line. */
function processesOf(directory: string): string[] {
  return processes().filter((pid) => commandLine(pid).includes(directory));
}

function processes(): string[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name));
}

/** The process group of a process that runs; a zombie is in none. */
function groupOf(pid: string): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const [state, , group] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return state === 'Z' ? undefined : Number(group);
  } catch {
    return undefined; // it has ended
  }
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return ''; // it has ended
  }
}

const signalGroup = (child: ChildProcess, signal: NodeJS.Signals) => process.kill(-(child.pid ?? 0), signal);

const made: string[] = [];
afterAll(() => made.forEach((directory) => rmSync(directory, { recursive: true, force: true })));

function ownTemporaryDirectory(): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'lifecycle-'));
  chmodSync(directory, 0o755);
  made.push(directory);
  return directory;
}

const onLinux = existsSync('/proc/self/cmdline') ? describe : describe.skip;

onLinux('from start to end', () => {
  test('the command prints one line of JSON, and leaves nothing behind when interrupted', async () => {
    const run = launch(['--json', '--projects', '3']);
    const facts = await ready(run);
    expect(run.text.stdout.trim().split('\n')).toHaveLength(1);
    const answer = await fetch(`${facts.apiUrl}/projects`, { headers: { authorization: `Bearer ${facts.apiKey}` } });
    expect(((await answer.json()) as { projects: unknown[] }).projects).toHaveLength(3);
    const directory = path.dirname(facts.caFile);
    expect(processesOf(directory).length).toBeGreaterThan(1);
    // As a terminal does it, and as an impatient supervisor does it.
    signalGroup(run.child, 'SIGINT');
    signalGroup(run.child, 'SIGTERM');
    expect(await run.exit).toBe(0);
    expect(processesOf(directory)).toEqual([]);
    expect(existsSync(directory)).toBe(false);
    expect(run.text.stderr).toBe('');
  });

  test('a signal during start-up is not lost', async () => {
    const temporary = ownTemporaryDirectory();
    const run = launch(['--json', '--disk'], temporary);
    while (!localNeonsIn(temporary).some((name) => processesOf(name).length > 1)) await sleep(10);
    run.child.kill('SIGTERM');
    expect(await run.exit).toBe(0);
    expect(localNeonsIn(temporary)).toEqual([]);
  });

  test('nothing survives when the process is killed', async () => {
    const run = launch(['--json']);
    const directory = path.dirname((await ready(run)).caFile);
    run.child.kill('SIGKILL');
    await run.exit;
    while (processesOf(directory).length > 0 || existsSync(directory)) await sleep(20);
  });

  test.each<[NodeJS.Signals, string, Record<string, string>]>([
    ['SIGINT', 'as this repository sets npm up', {}],
    ['SIGTERM', 'as this repository sets npm up', {}],
    ['SIGTERM', 'with a shell that passes nothing on', { npm_config_script_shell: '/bin/sh' }],
    ['SIGKILL', 'as this repository sets npm up', {}],
  ])('%s to npx alone ends everything, %s', async (signal, _, env) => {
    const run = follow('npx', ['local-neon', '--json', '--projects', '1'], { cwd: root, env });
    const directory = path.dirname((await ready(run)).caFile);
    run.child.kill(signal);
    await run.exit;
    while (processesOf(directory).length > 0 || existsSync(directory)) await sleep(20);
    while (run.group().length > 0) await sleep(20);
  });

  test('a bad command line is told all at once', async () => {
    const run = launch(['--port', 'x', '--projekts', '3']);
    expect(await run.exit).toBe(2);
    expect(run.text.stderr).toMatch(/--port[^]*--projekts|--projekts[^]*--port/);
    expect(run.text.stdout).toBe('');
  });

  test('a port that is taken is an error, and nothing is left running', async () => {
    await using neon = await startLocalNeon({ s3: false });
    const temporary = ownTemporaryDirectory();
    const run = launch(['--json', '--disk', '--port', new URL(neon.apiUrl).port], temporary);
    expect(await run.exit).toBe(1);
    expect(run.text.stderr).toContain('EADDRINUSE');
    expect(localNeonsIn(temporary)).toEqual([]);
  });

  test('stopping twice is fine, and bad options are refused', async () => {
    const neon = await startLocalNeon({ s3: false });
    await Promise.all([neon.stop(), neon.stop()]);
    await neon.stop();
    await expect(startLocalNeon({ port: -1, projects: 0.5 })).rejects.toThrow(/port[^]*projects/);
  });

  test('the server programs of the npm package do as well', async () => {
    const s = await started({ postgresBinDir: 'embedded' });
    try {
      expect(s.lines.join('\n')).toContain('embedded');
      const project = await createProject(s.api);
      expect(await query(s.neon, project.uri, 'select 1 as one')).toEqual([{ one: 1 }]);
    } finally {
      await s.neon.stop();
    }
  });
});

function localNeonsIn(parent: string): string[] {
  return readdirSync(parent)
    .filter((name) => name.startsWith('local-neon-'))
    .map((name) => path.join(parent, name));
}
