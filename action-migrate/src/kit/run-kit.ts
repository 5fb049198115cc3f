import { ExplainedError } from '@neon-fleet/shared/errors';
import { exitWords, runProgram, type FinishedProgram } from '@neon-fleet/shared/processes';

import { cleanOutput } from './clean-output.js';
import type { DrizzleKit } from './find-kit.js';

export interface KitRun {
  readonly kit: DrizzleKit;
  /** Visible to everybody on the machine: never a secret. */
  readonly args: readonly string[];
  readonly cwd: string;
  /** The whole environment, see `kitEnvironment`. */
  readonly env: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  readonly timeLimitMs: number;
  /** Texts that must not appear in what it wrote. */
  readonly secrets?: readonly string[];
}

/** How drizzle-kit ended, and what it wrote, fit to be shown. */
export interface KitExit extends Pick<FinishedProgram, 'code' | 'timedOut'> {
  readonly output: string;
  /** Such as `ended with exit code 1`. */
  readonly words: string;
}

/**
 * Ends the process when its input does: so drizzle-kit does not go on migrating, without a lock, for a parent that was
 * killed. Threads of it have an input of their own, which is none.
 */
const LIFELINE = `data:text/javascript,${encodeURIComponent(
  `import { isMainThread } from 'node:worker_threads';
   if (isMainThread) process.stdin.on('end', () => process.exit(1)).on('error', () => process.exit(1)).resume().unref?.();`,
)}`;

/**
 * Runs drizzle-kit to its end: with no terminal and no input, so that it asks nobody, and for a limited time.
 *
 * @throws the reason of the signal; ExplainedError when it could not be started.
 */
export async function runKit(run: KitRun): Promise<KitExit> {
  const { kit, args, cwd, env, signal, timeLimitMs, secrets } = run;
  const exit = await runProgram({
    file: process.execPath,
    args: ['--import', LIFELINE, kit.program, ...args],
    cwd,
    env,
    signal,
    timeLimitMs,
    holdStdin: true,
  });
  return {
    code: exit.code,
    timedOut: exit.timedOut,
    output: cleanOutput(`${exit.stdout}\n${exit.stderr}`, secrets),
    words: exit.timedOut ? `was ended after ${Math.round(timeLimitMs / 1000)} s` : exitWords(exit),
  };
}

/** What drizzle-kit says when it would ask a person: 0.31 about its terminal, 1.0 about the hints it lacks. */
const ASKS = /Interactive prompts require a TTY|missing_hints/;

/** Whether it needs an answer that nobody can give here, such as whether a column was renamed. */
export function asksSomething({ output }: Pick<KitExit, 'output'>): boolean {
  return ASKS.test(output);
}

/** 0.31 also ends with 0 after some of its errors. */
const ERROR = /^\s*(\w*Error\b|error:|\[✗\])/m;

export function hasFailed({ code, output }: Pick<KitExit, 'code' | 'output'>): boolean {
  return code !== 0 || ERROR.test(output);
}

/** An error that says how drizzle-kit ended and what it wrote last. */
export function kitError(doing: string, exit: KitExit): ExplainedError {
  const silent = exit.output === '' || !/error|\bfailed\b|✗/i.test(exit.output);
  return new ExplainedError({
    message: `${doing}: drizzle-kit ${exit.words}${exit.output === '' ? '' : `\n${exit.output}`}`,
    code: exit.timedOut ? 'timeout' : `exit ${exit.code ?? 'unknown'}`,
    ...(silent && !exit.timedOut
      ? {
          hint: 'drizzle-kit 0.31 does not say why a migration failed. With engine: drizzle-orm the statement and its error are named.',
        }
      : {}),
  });
}
