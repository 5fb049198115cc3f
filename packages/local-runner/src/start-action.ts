import { spawn, type ChildProcess } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { unescapeData } from './log-view.js';
import { parseOutputs } from './output-file.js';

export interface StartActionOptions {
  /** The bundle, such as `dist/migrate/index.js`. */
  readonly bundle: string;
  /** The inputs of `with:`; lists as lines. */
  readonly inputs: Readonly<Record<string, string>>;
  /** The step's own environment, over the few variables that every step has. */
  readonly env?: Readonly<Record<string, string>>;
  /** Working directory: what a step finds checked out. Default: this one. */
  readonly cwd?: string;
  /** Node to run it with. Default: the one that runs this. */
  readonly node?: string;
  /** Folder for what the runner provides (temp folder, output and summary files). Default: a new one, removed at the end. */
  readonly folder?: string;
  /** Called with each piece of the log as it is written. */
  readonly onLog?: (text: string) => void;
}

/** What a step left behind. */
export interface FinishedAction {
  /** Null when a signal ended it. */
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly outputs: Readonly<Record<string, string>>;
  readonly summary: string;
  /** stdout and stderr in the order of their arrival, with workflow commands as they were written. */
  readonly log: string;
  /** What was masked with `::add-mask::`, unescaped. */
  readonly masks: readonly string[];
  /** Content of the file behind the output `report`, when there is one. */
  readonly report: string | undefined;
  readonly durationMs: number;
}

/** A step under way. */
export interface ActionRun {
  readonly process: ChildProcess;
  readonly finished: Promise<FinishedAction>;
  /** Cancels as a runner does: SIGINT, SIGTERM after 7.5 s, SIGKILL 2.5 s after that. */
  cancel(): void;
}

const SIGTERM_AFTER_MS = 7_500;
const SIGKILL_AFTER_MS = 10_000;

/** The part of a machine's environment that a job needs; the rest (keys, other tools' settings) stays out. */
const PASSED_ON = ['PATH', 'HOME', 'LANG', 'LC_ALL', 'TMPDIR', 'USER'];

/**
 * Starts a bundled action the way a GitHub runner does: `node dist/<name>/index.js` with `INPUT_*` variables, the files
 * for outputs and summary, and the variables of a workflow's context.
 */
export async function startAction(options: StartActionOptions): Promise<ActionRun> {
  const folder = options.folder ?? (await mkdtemp(path.join(tmpdir(), 'neon-fleet-runner-')));
  const files = {
    output: path.join(folder, 'output'),
    summary: path.join(folder, 'summary.md'),
    env: path.join(folder, 'env'),
    state: path.join(folder, 'state'),
    path: path.join(folder, 'path'),
    temp: path.join(folder, 'temp'),
  };
  await mkdir(files.temp, { recursive: true });
  await Promise.all(
    [files.output, files.summary, files.env, files.state, files.path].map((file) => writeFile(file, '')),
  );

  const startedAtMs = performance.now();
  const child = spawn(options.node ?? process.execPath, [path.resolve(options.bundle)], {
    cwd: options.cwd ?? process.cwd(),
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...Object.fromEntries(PASSED_ON.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : []))),
      CI: 'true',
      GITHUB_ACTIONS: 'true',
      GITHUB_ACTOR: 'octocat',
      GITHUB_OUTPUT: files.output,
      GITHUB_STEP_SUMMARY: files.summary,
      GITHUB_ENV: files.env,
      GITHUB_STATE: files.state,
      GITHUB_PATH: files.path,
      GITHUB_REPOSITORY: 'org/app',
      GITHUB_RUN_ID: '1',
      GITHUB_RUN_ATTEMPT: '1',
      GITHUB_SERVER_URL: 'https://github.com',
      GITHUB_SHA: '0'.repeat(40),
      GITHUB_WORKSPACE: options.cwd ?? process.cwd(),
      RUNNER_OS: 'Linux',
      RUNNER_TEMP: files.temp,
      ...options.env,
      ...Object.fromEntries(
        // The runner's rule: blanks become underscores, everything is upper case, hyphens stay.
        Object.entries(options.inputs).map(([name, value]) => [
          `INPUT_${name.replace(/ /g, '_').toUpperCase()}`,
          value,
        ]),
      ),
    },
  });

  let log = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      log += text;
      options.onLog?.(text);
    });
  }

  let timers: NodeJS.Timeout[] = [];
  const finished = new Promise<FinishedAction>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (exitCode, signal) => {
      for (const timer of timers) clearTimeout(timer);
      const durationMs = performance.now() - startedAtMs;
      collect(files, { exitCode, signal, log, durationMs }).then(resolve, reject);
    });
  }).finally(() => (options.folder === undefined ? rm(folder, { recursive: true, force: true }) : undefined));

  return {
    process: child,
    finished,
    cancel() {
      child.kill('SIGINT');
      timers = [
        setTimeout(() => child.kill('SIGTERM'), SIGTERM_AFTER_MS),
        setTimeout(() => child.kill('SIGKILL'), SIGKILL_AFTER_MS),
      ];
    },
  };
}

/** Starts an action and waits for its end. */
export async function runAction(options: StartActionOptions): Promise<FinishedAction> {
  const run = await startAction(options);
  return run.finished;
}

async function collect(
  files: { readonly output: string; readonly summary: string },
  ended: Pick<FinishedAction, 'exitCode' | 'signal' | 'log' | 'durationMs'>,
): Promise<FinishedAction> {
  const outputs = parseOutputs(await readFile(files.output, 'utf8'));
  return {
    ...ended,
    outputs,
    summary: await readFile(files.summary, 'utf8'),
    masks: [...ended.log.matchAll(/^::add-mask::(.*)$/gm)].map(([, value = '']) => unescapeData(value)),
    report: outputs['report'] === undefined ? undefined : await readFile(outputs['report'], 'utf8'),
  };
}
