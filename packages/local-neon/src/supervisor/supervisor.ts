import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { readFile, rm } from 'node:fs/promises';
import type { Readable, Writable } from 'node:stream';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** A program for the supervisor to run. */
export interface Program {
  readonly file: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** User and group to run as; the supervisor's own when absent. */
  readonly user?: { readonly uid: number; readonly gid: number };
  /** File that receives the program's standard error. */
  readonly log: string;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: string | null;
  readonly error?: string;
}

/** A program that the supervisor runs. */
export interface Child {
  /** Resolves when the program has ended, or could not be started. Never rejects. */
  readonly exited: Promise<Exit>;
  /** The first line on its standard output; `undefined` if it ended without one. */
  readonly firstLine: Promise<string | undefined>;
  /** The end of its log, for error messages. */
  logTail(): Promise<string>;
}

interface Running {
  exited: (exit: Exit) => void;
  line: (line: string | undefined) => void;
}

interface Report extends Partial<Exit> {
  readonly id: number;
  readonly event: 'started' | 'line' | 'exit';
  readonly line?: string;
}

/**
 * Runs programs in a session of their own, so that Ctrl-C in a terminal does not reach them, and ends them and removes
 * the directories when {@link stop} is called or this process is gone, for whatever reason.
 */
export class Supervisor {
  readonly #process: ChildProcessByStdio<Writable, Readable, null>;
  readonly #running = new Map<number, Running>();
  readonly #gone: Promise<void>;
  readonly #directories: readonly string[];
  #nextId = 1;

  /** @param directories temporary directories to remove when everything has ended */
  constructor(directories: readonly string[]) {
    this.#directories = directories;
    const script = fileURLToPath(new URL('session.js', import.meta.url));
    const child = spawn(process.execPath, [script, ...directories], {
      detached: true,
      cwd: '/',
      env: { PATH: process.env['PATH'] ?? '' },
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    this.#process = child;
    this.#gone = new Promise<void>((resolve) => {
      child.once('error', () => resolve());
      child.once('exit', () => resolve());
    }).then(() => {
      for (const id of [...this.#running.keys()]) {
        this.#ended(id, { code: null, signal: null, error: 'the supervisor process has ended' });
      }
    });
    child.stdin.on('error', () => undefined); // the exit event tells the same
    createInterface({ input: child.stdout }).on('line', (line) => this.#report(line));
  }

  /** Starts a program. What becomes of it is in the returned {@link Child}. */
  run(program: Program): Child {
    const id = this.#nextId++;
    const running: Running = { exited: () => undefined, line: () => undefined };
    const firstLine = new Promise<string | undefined>((resolve) => (running.line = resolve));
    const exited = new Promise<Exit>((resolve) => (running.exited = resolve));
    this.#running.set(id, running);
    const { user, ...rest } = program;
    this.#process.stdin.write(`${JSON.stringify({ run: { id, ...rest, ...user } })}\n`);
    return { exited, firstLine, logTail: () => tail(program.log) };
  }

  /** Ends all programs and removes the directory. Resolves when that is done. */
  async stop(): Promise<void> {
    this.#process.stdin.end();
    const patience = setTimeout(() => this.#process.kill('SIGKILL'), 60_000);
    await this.#gone;
    clearTimeout(patience);
    for (const directory of this.#directories) {
      await rm(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
    }
  }

  #report(line: string): void {
    const report = JSON.parse(line) as Report;
    if (report.event === 'line') this.#running.get(report.id)?.line(report.line);
    if (report.event === 'exit') {
      const { code = null, signal = null, error } = report;
      this.#ended(report.id, { code, signal, ...(error === undefined ? {} : { error }) });
    }
  }

  #ended(id: number, exit: Exit): void {
    const running = this.#running.get(id);
    this.#running.delete(id);
    running?.line(undefined);
    running?.exited(exit);
  }
}

async function tail(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text.trimEnd().split('\n').slice(-15).join('\n');
}

/** Says in words how a program ended. */
export function describeExit(exit: Exit): string {
  if (exit.error !== undefined) return `could not be run: ${exit.error}`;
  return exit.signal === null ? `exited with status ${String(exit.code)}` : `was ended by ${exit.signal}`;
}
