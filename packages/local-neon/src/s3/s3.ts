import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describeExit, type Supervisor } from '../supervisor/supervisor.js';

/** How to reach the S3 server, path-style. */
export interface LocalS3 {
  readonly endpoint: string;
  readonly bucket: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly region: string;
  /** Where the objects lie on disk. */
  readonly directory: string;
}

const BUCKET = 'neon-fleet-backups';

/** Starts an S3 server with one bucket. The supervisor ends it. @throws Error with its log when it does not come up */
export async function startS3(supervisor: Supervisor, parent: string): Promise<LocalS3> {
  const directory = path.join(parent, 's3');
  await mkdir(directory, { mode: 0o700 });
  const accessKeyId = `LOCAL${randomBytes(8).toString('hex').toUpperCase()}`;
  const secretAccessKey = randomBytes(20).toString('hex');
  const child = supervisor.run({
    file: process.execPath,
    args: [fileURLToPath(new URL('server.js', import.meta.url)), directory, BUCKET],
    env: { PATH: process.env['PATH'] ?? '', ACCESS_KEY_ID: accessKeyId, SECRET_ACCESS_KEY: secretAccessKey },
    cwd: parent,
    log: path.join(parent, 's3.log'),
  });
  const line = await child.firstLine;
  if (line === undefined)
    throw new Error(`the S3 server ${describeExit(await child.exited)}:\n${await child.logTail()}`);
  const { port } = JSON.parse(line) as { port: number };
  return {
    endpoint: `http://127.0.0.1:${String(port)}`,
    bucket: BUCKET,
    accessKeyId,
    secretAccessKey,
    region: 'us-east-1',
    directory,
  };
}
