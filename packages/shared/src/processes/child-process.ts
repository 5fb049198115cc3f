import { spawn, type ChildProcess } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';

import { ExplainedError, systemCode } from '../errors/index.js';

export interface ProgramOptions {
  readonly file: string;
  /** Visible to everybody on the machine: never a secret. */
  readonly args: readonly string[];
  /** The whole environment of the child; see `childEnvironment`. */
  readonly env: Readonly<Record<string, string>>;
  /** Default: where this process is. */
  readonly cwd?: string | undefined;
  /** Ends the program when it is aborted. */
  readonly signal?: AbortSignal | undefined;
  /** As whom to run it, for a root whose program refuses to be run by root. */
  readonly user?: { readonly uid: number; readonly gid: number } | undefined;
}

/** How a program ended. */
export interface ProgramExit {
  readonly code: number | null;
  /** The signal that ended it, if one did. */
  readonly signal: NodeJS.Signals | null;
  /** The end of what it wrote to its error output. */
  readonly stderr: string;
}

/** A program that was started. Whoever starts one calls `stop` in a `finally`. */
export interface RunningProgram {
  readonly stdin: Writable;
  readonly stdout: Readable;
  /**
   * Resolves when the program has ended, whichever way.
   *
   * @throws ExplainedError when it could not be started.
   */
  readonly exited: Promise<ProgramExit>;
  /** Ends the program with everything it started, and returns when it is gone. Harmless when it has ended already. */
  stop(): Promise<void>;
}

const STDERR_KEPT = 64 * 1024;
/** A polite end lets pg_dump cancel its statement on the server. */
const POLITE_MS = 800;
const REAP_TIMEOUT_MS = 1_000;
const NO_LIMIT_MS = 2 ** 31 - 1; // the longest that a timer can wait: 24 days

const running = new Set<ChildProcess>();
let exitHookInstalled = false;

/**
 * Starts a program in a process group of its own, so that it can be ended with everything it starts.
 *
 * It does not outlive this process when that ends by `process.exit`; and when this process is killed, the program ends by
 * itself as soon as it writes to or reads from its broken pipes.
 */
export function startProgram({ file, args, env, cwd, signal, user }: ProgramOptions): RunningProgram {
  installExitHook();
  const child = spawn(file, [...args], {
    env: { ...env },
    ...(cwd === undefined ? {} : { cwd }),
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
    ...user,
  });
  running.add(child);
  const stderr = keepEnd(child.stderr);
  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve, reject) => {
    child.once('error', (thrown) => {
      running.delete(child);
      reject(notStarted(file, thrown));
    });
    child.once('exit', (code, by) => {
      running.delete(child);
      resolve({ code, signal: by });
    });
  });
  const exited = ended.then(async (exit) => {
    await Promise.race([stderr.complete, delay(REAP_TIMEOUT_MS, undefined, { ref: false })]);
    return { ...exit, stderr: stderr.text() };
  });
  exited.catch(() => undefined);
  // Writing to a program that has ended is an error of the stream; what counts is how the program ended.
  child.stdin.on('error', () => undefined);

  let stopping: Promise<void> | undefined;
  const stop = () => (stopping ??= endGroup(child, ended));
  const onAbort = () => void stop();
  if (signal?.aborted === true) onAbort();
  else signal?.addEventListener('abort', onAbort, { once: true });
  const forget = () => signal?.removeEventListener('abort', onAbort);
  ended.then(forget, forget);

  return { stdin: child.stdin, stdout: child.stdout, exited, stop };
}

/** How a program is run to its end. */
export interface RunOptions extends ProgramOptions {
  /** Ends it when it takes longer. */
  readonly timeLimitMs?: number | undefined;
  /**
   * Whether its input stays open, with nothing ever written to it, until it has ended: a program that watches it learns
   * that this process is gone. By default it is closed, so that a question gets no answer at once.
   */
  readonly holdStdin?: boolean;
}

/** A program that has ended. */
export interface FinishedProgram extends ProgramExit {
  /** The end of what it wrote to its output. */
  readonly stdout: string;
  /** Whether it was ended because it took too long. */
  readonly timedOut: boolean;
}

/**
 * Runs a program to its end and gives what it wrote.
 *
 * @throws ExplainedError when it could not be started, the reason of the signal when it was ended by it.
 */
export async function runProgram(options: RunOptions): Promise<FinishedProgram> {
  options.signal?.throwIfAborted();
  const program = startProgram(options);
  let timedOut = false;
  const limit = setTimeout(() => {
    timedOut = true;
    void program.stop();
  }, options.timeLimitMs ?? NO_LIMIT_MS);
  try {
    if (options.holdStdin !== true) program.stdin.end();
    const stdout = keepEnd(program.stdout);
    const exit = await program.exited;
    options.signal?.throwIfAborted();
    await Promise.race([stdout.complete, delay(REAP_TIMEOUT_MS, undefined, { ref: false })]);
    return { ...exit, stdout: stdout.text(), timedOut };
  } finally {
    clearTimeout(limit);
    await program.stop();
  }
}

/** How a program ended, in words. */
export function exitWords({ code, signal }: Pick<ProgramExit, 'code' | 'signal'>): string {
  return signal === null ? `ended with exit code ${code ?? 'unknown'}` : `was ended by ${signal}`;
}

async function endGroup(child: ChildProcess, ended: Promise<unknown>): Promise<void> {
  const gone = ended.then(
    () => true,
    () => true,
  );
  if (child.exitCode === null && child.signalCode === null && child.pid !== undefined) {
    sendToGroup(child, 'SIGTERM');
    const polite = await Promise.race([gone, delay(POLITE_MS, false, { ref: false })]);
    if (!polite) {
      sendToGroup(child, 'SIGKILL');
      await Promise.race([gone, delay(REAP_TIMEOUT_MS, undefined, { ref: false })]);
    }
  }
  for (const stream of [child.stdin, child.stdout, child.stderr]) stream?.destroy();
}

function sendToGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // The group is gone, or runs as somebody else (sudo): then only the pipe's end can tell it.
  }
}

function installExitHook(): void {
  if (exitHookInstalled) return;
  exitHookInstalled = true;
  process.on('exit', () => {
    for (const child of running) sendToGroup(child, 'SIGKILL');
  });
}

function keepEnd(stream: Readable): { complete: Promise<void>; text: () => string } {
  let kept = Buffer.alloc(0);
  stream.on('data', (chunk: Buffer) => {
    kept = Buffer.concat([kept, chunk]).subarray(-STDERR_KEPT);
  });
  const complete = new Promise<void>((resolve) => {
    stream.once('close', resolve);
    stream.once('error', () => resolve());
  });
  return { complete, text: () => kept.toString('utf8') };
}

function notStarted(file: string, thrown: unknown): ExplainedError {
  const code = systemCode(thrown);
  return new ExplainedError({
    message: `${file} could not be started${code === 'ENOENT' ? ': there is no such program' : ''}`,
    ...(code === undefined ? {} : { code }),
  });
}
