import { spawn } from 'node:child_process';

import { watchWay } from './watched-way.js';

/** When a process is killed: when it speaks to the server for the n-th time, which hears what it says, or does not. */
export interface Turn {
  readonly turn: number;
  readonly heard: boolean;
}

/**
 * Has a process work on a database and kills it when it speaks to the server for the n-th time: before the server hears
 * what it says, or just after.
 *
 * @param program its file
 * @param environmentBy what it is told, in environment variables, with the URL by which its turns are seen
 * @returns whether it was killed before it had ended
 */
export async function killedAtTurn(
  program: string,
  url: string,
  { turn, heard }: Turn,
  environmentBy: (url: string) => NodeJS.ProcessEnv,
): Promise<boolean> {
  let kill: () => void = () => undefined;
  await using way = await watchWay(url, (now) => {
    if (now !== turn) return now < turn;
    setImmediate(kill);
    return heard;
  });
  const child = spawn(process.execPath, ['--import', 'tsx', program], {
    env: { ...process.env, NODE_OPTIONS: '', ...environmentBy(way.url) },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  kill = () => void child.kill('SIGKILL');
  const signal = await new Promise((resolve) => child.once('exit', (_, by) => resolve(by)));
  return signal === 'SIGKILL';
}
