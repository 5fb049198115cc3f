import { afterAll, describe, expect, test } from '@jest/globals';
import { spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { startLocalNeon } from '../../src/index.js';
import { createProject, query, started } from './support.js';

const bin = fileURLToPath(new URL('../../bin/local-neon.js', import.meta.url));

interface Facts {
  readonly apiUrl: string;
  readonly apiKey: string;
  readonly caFile: string;
  readonly postgresUrl: string;
}

function launch(args: readonly string[], temporary = tmpdir()) {
  const child = spawn(process.execPath, [bin, ...args], {
    cwd: '/',
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'] ?? '', TMPDIR: temporary },
  });
  const text = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk: Buffer) => (text.stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (text.stderr += chunk.toString()));
  const exit = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)));
  return { child, text, exit };
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
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => commandLine(pid).includes(directory));
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
