import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';

import { describe, expect, test } from '@jest/globals';

import { runProgram, startProgram } from '../../src/processes/index.js';

const SH = '/bin/sh';
const env = { PATH: process.env['PATH'] ?? '' };

/** Whether a process runs. One that has ended but that nobody has asked about yet (a zombie) does not. */
function alive(pid: number): boolean {
  try {
    const status = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return !status.slice(status.lastIndexOf(')') + 2).startsWith('Z');
  } catch {
    return false;
  }
}

async function firstLine(stream: AsyncIterable<Buffer>): Promise<string> {
  for await (const chunk of stream) return chunk.toString().trim();
  return '';
}

describe('a program', () => {
  test('gives its exit code, its output and the end of its error output', async () => {
    const args = ['-c', 'echo out; echo err >&2; exit 3'];
    await expect(runProgram({ file: SH, args, env })).resolves.toEqual({
      code: 3,
      signal: null,
      stdout: 'out\n',
      stderr: 'err\n',
      timedOut: false,
    });
  });

  test('that does not exist is a readable error', async () => {
    await expect(runProgram({ file: '/nowhere/pg_dump', args: [], env })).rejects.toThrow(
      '/nowhere/pg_dump could not be started: there is no such program',
    );
  });

  test('sees nothing but the environment it was given', async () => {
    process.env['LEAKED'] = 'secret';
    const { stdout } = await runProgram({ file: '/usr/bin/env', args: [], env: { ...env, OWN: '1' } });
    Reflect.deleteProperty(process.env, 'LEAKED');
    expect(stdout.trim().split('\n').toSorted()).toEqual([`OWN=1`, `PATH=${env.PATH}`].toSorted());
  });

  test('is gone, with what it started, when stop returns, also when it ignores polite signals', async () => {
    const program = startProgram({ file: SH, args: ['-c', 'trap "" TERM; sleep 100 & echo $!; wait; sleep 100'], env });
    const grandchild = Number(await firstLine(program.stdout as AsyncIterable<Buffer>));
    expect(alive(grandchild)).toBe(true);
    await program.stop();
    expect((await program.exited).signal).toBe('SIGKILL');
    for (let round = 0; round < 100 && alive(grandchild); round += 1) await delay(10);
    expect(alive(grandchild)).toBe(false);
  });

  test('ends when the signal is aborted', async () => {
    const stop = new AbortController();
    const running = runProgram({ file: SH, args: ['-c', 'sleep 100'], env, signal: stop.signal });
    stop.abort(new Error('the run was cancelled'));
    await expect(running).rejects.toThrow('the run was cancelled');
  });

  test('is ended when it takes too long, and what it wrote by then is kept', async () => {
    const exit = await runProgram({ file: SH, args: ['-c', 'echo asked; exec sleep 100'], env, timeLimitMs: 300 });
    expect(exit).toMatchObject({ timedOut: true, signal: 'SIGTERM', stdout: 'asked\n' });
    const quick = await runProgram({ file: SH, args: ['-c', 'exit 3'], env, timeLimitMs: 60_000 });
    expect(quick).toMatchObject({ timedOut: false, code: 3 });
  });

  test('finds its input closed, or open to the end when it is held', async () => {
    const closed = await runProgram({ file: SH, args: ['-c', 'read answer || echo none'], env });
    expect(closed.stdout).toBe('none\n');
    const held = await runProgram({
      file: SH,
      args: ['-c', 'read answer && echo answered'],
      env,
      holdStdin: true,
      timeLimitMs: 300,
    });
    expect(held).toMatchObject({ timedOut: true, stdout: '' });
  });

  test('runs where it is told to', async () => {
    const { stdout } = await runProgram({ file: SH, args: ['-c', 'pwd'], env, cwd: '/' });
    expect(stdout).toBe('/\n');
  });

  test('does not outlive a process that exits', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'child-process-'));
    const pidFile = path.join(folder, 'pid');
    const module = path.resolve('packages/shared/src/processes/child-process.ts');
    const script = `
      import { existsSync, readFileSync } from 'node:fs';
      const { startProgram } = await import(${JSON.stringify(module)});
      startProgram({ file: '/bin/sh', args: ['-c', 'echo $$ > ${pidFile}; exec sleep 100'], env: {} });
      const timer = setInterval(() => {
        if (existsSync('${pidFile}') && readFileSync('${pidFile}', 'utf8') !== '') process.exit(0);
      }, 5);
    `;
    await promisify(execFile)(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script]);
    const pid = Number(await readFile(pidFile, 'utf8'));
    for (let round = 0; round < 100 && alive(pid); round += 1) await delay(10);
    expect(alive(pid)).toBe(false);
    await rm(folder, { recursive: true });
  });
});
