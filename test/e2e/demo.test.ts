import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterEach, describe, expect, test } from '@jest/globals';
import { startLocalNeon } from '@neon-fleet/local-neon';

import { ROOT } from '../../scripts/actions.js';
import { Job } from '../../scripts/demo/steps.js';
import { descendantsOf, listProcesses, type ProcessInfo } from '../support/processes.js';

const FOLDER = path.join(ROOT, '.neon-fleet', 'demo');
const tsx = path.join(ROOT, 'node_modules', 'tsx', 'dist', 'cli.mjs');

/** Starts the demo in a process group of its own, as a terminal does, and notes every process it ever had. */
function startDemo(...args: string[]) {
  return follow(process.execPath, [tsx, 'scripts/demo/index.ts', ...args]);
}

function follow(file: string, args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const child = spawn(file, args, { cwd: ROOT, detached: true, env: { ...process.env, ...env } });
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
  return { child, pid: child.pid ?? 0, exited, seen, output: () => output };
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

/** Resolves as soon as the demo has printed a text. */
async function says({ child, output }: ReturnType<typeof follow>, text: string): Promise<void> {
  while (!output().includes(text)) {
    if (child.exitCode !== null) throw new Error(`it ended before it said ${JSON.stringify(text)}:\n${output()}`);
    await once(child.stdout, 'data');
  }
}

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

  test('says nothing about the Node that it runs on', async () => {
    const demo = follow(process.execPath, ['--import', 'tsx', 'scripts/demo/index.ts', '--tenants', '1'], {
      AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: undefined,
    });
    expect(await demo.exited).toBe(0);
    expect(demo.output()).not.toMatch(/warning/i);
  });

  test.each([
    ['as this repository sets npm up', {}],
    ['with a shell that passes nothing on', { npm_config_script_shell: '/bin/sh' }],
  ])('stops everything when only npm is told to end, %s', async (_, env) => {
    const demo = follow('npm', ['run', 'demo'], env);
    await says(demo, 'Migrate all of them');
    process.kill(demo.pid, 'SIGTERM');
    // npm may be gone long before: the output ends when the last one that can write to it does.
    await demo.exited;
    expect(await stillRunning(demo.seen)).toEqual([]);
    expect(demo.output()).toContain('Everything that was started is stopped.');
  });

  test('stops everything on Ctrl-C just after the title of a step, and leaves no file behind', async () => {
    const temporary = await mkdtemp(path.join(tmpdir(), 'neon-fleet-demo-'));
    await chmod(temporary, 0o755);
    const demo = follow(process.execPath, [tsx, 'scripts/demo/index.ts'], { TMPDIR: temporary });
    await says(demo, 'Provision 4 tenants');
    process.kill(-demo.pid, 'SIGINT');
    expect(await demo.exited).toBe(130);
    expect(await stillRunning(demo.seen)).toEqual([]);
    expect((await readdir(temporary)).filter((name) => !name.startsWith('tsx-'))).toEqual([]);
    await rm(temporary, { recursive: true });
  });

  test('cancels a step that is only about to start', async () => {
    await using neon = await startLocalNeon();
    const temporary = await mkdtemp(path.join(tmpdir(), 'neon-fleet-demo-'));
    const before = process.env['TMPDIR'];
    process.env['TMPDIR'] = temporary;
    try {
      const job = new Job(neon, { app: temporary, summaries: path.join(temporary, 'summaries') }, false);
      const step = job.step('Provision', 'provision', { name: 'ACME Corp' });
      const failed = expect(step).rejects.toThrow(/provision ended with/);
      await job.cancel();
      const mine = descendantsOf(await listProcesses(), process.pid);
      expect(mine.filter(({ commandLine }) => commandLine.includes('dist/provision'))).toEqual([]);
      expect((await readdir(temporary)).filter((name) => name.startsWith('neon-fleet-runner-'))).toEqual([]);
      await failed;
    } finally {
      if (before === undefined) delete process.env['TMPDIR'];
      else process.env['TMPDIR'] = before;
      await rm(temporary, { recursive: true });
    }
  });

  test('stops everything on Ctrl-C', async () => {
    const demo = startDemo();
    await says(demo, 'Migrate all of them');
    // A terminal sends the signal to the whole group.
    process.kill(-demo.pid, 'SIGINT');
    expect(await demo.exited).toBe(130);
    expect(await stillRunning(demo.seen)).toEqual([]);
  });
});
