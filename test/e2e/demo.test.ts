import { spawn } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';

import { afterEach, describe, expect, test } from '@jest/globals';

import { ROOT } from '../../scripts/actions.js';
import { descendantsOf, listProcesses, type ProcessInfo } from '../support/processes.js';

const FOLDER = path.join(ROOT, '.neon-fleet', 'demo');
const tsx = path.join(ROOT, 'node_modules', 'tsx', 'dist', 'cli.mjs');

/** Starts the demo in a process group of its own, as a terminal does, and notes every process it ever had. */
function startDemo(...args: string[]) {
  const child = spawn(process.execPath, [tsx, 'scripts/demo/index.ts', ...args], { cwd: ROOT, detached: true });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  const seen = new Map<number, ProcessInfo>();
  const watching = setInterval(() => {
    void listProcesses().then((processes) => {
      for (const info of descendantsOf(processes, child.pid ?? 0)) seen.set(info.pid, info);
    });
  }, 100);
  const exited = new Promise<number | null>((resolve) => child.once('close', resolve)).finally(() =>
    clearInterval(watching),
  );
  running = { pid: child.pid ?? 0, exited };
  return { pid: child.pid ?? 0, exited, seen, output: () => output };
}

let running: { pid: number; exited: Promise<number | null> } | undefined;
afterEach(async () => {
  if (running === undefined) return;
  try {
    process.kill(-running.pid, 'SIGKILL');
  } catch {
    // It ended by itself.
  }
  await running.exited;
  running = undefined;
});

async function stillRunning(seen: ReadonlyMap<number, ProcessInfo>): Promise<string[]> {
  const now = await listProcesses();
  return (
    now
      // Without a command line it is a zombie that nobody has collected yet: it runs no more.
      .filter(({ pid, commandLine }) => commandLine !== '' && seen.get(pid)?.commandLine === commandLine)
      .map(({ commandLine }) => commandLine)
  );
}

describe('npm run demo', () => {
  test('runs the whole job, shows that the restored rows are equal, and leaves nothing running', async () => {
    const demo = startDemo('--tenants', '5');
    expect({ exitCode: await demo.exited, output: demo.output() }).toMatchObject({ exitCode: 0 });

    const output = demo.output();
    expect(output.match(/\d+ rows {2}[0-9a-f]{32} {2}equal/g)).toHaveLength(3);
    expect(output).not.toContain('DIFFERENT');
    expect(output).toContain('Tenant 0005');
    expect(output).toContain('5/5');

    const summaries = await readdir(path.join(FOLDER, 'summaries'));
    expect(summaries.filter((name) => name.endsWith('.md'))).toHaveLength(6);
    expect(await readFile(path.join(FOLDER, 'summaries', '4-backup.md'), 'utf8')).toContain('5 done');
    const backups = await readdir(path.join(FOLDER, 'backups'), { recursive: true });
    expect(backups.filter((name) => name.endsWith('.sql.gz'))).toHaveLength(5);

    expect(demo.seen.size).toBeGreaterThan(0);
    expect(await stillRunning(demo.seen)).toEqual([]);
  });

  test('stops everything on Ctrl-C', async () => {
    const demo = startDemo();
    while (!demo.output().includes('Migrate all of them')) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    // A terminal sends the signal to the whole group.
    process.kill(-demo.pid, 'SIGINT');
    expect(await demo.exited).toBe(130);
    expect(await stillRunning(demo.seen)).toEqual([]);
  });
});
