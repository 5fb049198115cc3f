import { readdir, readFile } from 'node:fs/promises';

/** A process as /proc shows it. */
export interface ProcessInfo {
  readonly pid: number;
  readonly parentPid: number;
  readonly commandLine: string;
  readonly environment: string;
}

/** All processes that can be read, which for root are all. Linux only. */
export async function listProcesses(): Promise<ProcessInfo[]> {
  const pids = (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry)).map(Number);
  const processes = await Promise.all(pids.map(readProcess));
  return processes.filter((info) => info !== undefined);
}

async function readProcess(pid: number): Promise<ProcessInfo | undefined> {
  try {
    const [stat, commandLine, environment] = await Promise.all([
      readFile(`/proc/${pid}/stat`, 'utf8'),
      readFile(`/proc/${pid}/cmdline`, 'utf8'),
      readFile(`/proc/${pid}/environ`, 'utf8').catch(() => ''),
    ]);
    const parentPid = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
    return { pid, parentPid, commandLine: commandLine.replaceAll('\0', ' ').trim(), environment };
  } catch {
    return undefined; // it ended while it was being read
  }
}

/** The processes below one, at any depth. */
export function descendantsOf(processes: readonly ProcessInfo[], pid: number): ProcessInfo[] {
  const children = processes.filter(({ parentPid }) => parentPid === pid);
  return children.flatMap((child) => [child, ...descendantsOf(processes, child.pid)]);
}
