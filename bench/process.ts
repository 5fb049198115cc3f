import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';

/** What a whole process cost. */
export interface ProcessCost {
  readonly durationMs: number;
  /** The most memory it held at once, as far as frequent looks at it tell. */
  readonly peakBytes: number;
  readonly output: string;
}

const LOOK_EVERY_MS = 20;

/**
 * Runs a process to its end and measures it from outside.
 *
 * @throws Error when it does not end with status 0.
 */
export async function runProcess(
  command: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<ProcessCost> {
  const startedAtMs = performance.now();
  const child = spawn(command, args, {
    cwd: options.cwd ?? process.cwd(),
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  const watch = watchMemory(child.pid ?? 0);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  const durationMs = performance.now() - startedAtMs;
  const peakBytes = watch.stop();
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${String(code)}:\n${output.slice(-3_000)}`);
  return { durationMs, peakBytes, output };
}

/** Follows the kernel's own high-water mark of a process (`VmHWM`), on systems that have /proc. */
export function watchMemory(pid: number): { stop: () => number } {
  let peakBytes = 0;
  const look = () =>
    void readFile(`/proc/${pid}/status`, 'utf8').then(
      (status) => {
        peakBytes = Math.max(peakBytes, Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1_024);
      },
      () => undefined,
    );
  const timer = setInterval(look, LOOK_EVERY_MS);
  look();
  return {
    stop: () => {
      clearInterval(timer);
      return peakBytes;
    },
  };
}
