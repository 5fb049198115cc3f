import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';

import { S3Client } from '@aws-sdk/client-s3';
import { openStore, type ObjectStore, type StoreOptions } from '@neon-fleet/shared/s3';

import { FETCH_TIMEOUT_MS, fetchOnce } from './fetch-once.js';

const MODULE = 'github.com/versity/versitygw/cmd/versitygw@v1.8.0';
/** Outside of the checkout, so that it is built once a machine. */
const FOLDER = path.join(tmpdir(), 'neon-fleet-versitygw-1.8.0');
const PROGRAM = 'versitygw';
const REGION = 'us-east-1';

/** A production-grade S3 server of somebody else's: what s3rver does not know, it does. */
export class VersityGateway implements AsyncDisposable {
  private constructor(
    private readonly child: ChildProcess,
    private readonly folder: string,
    readonly endpoint: string,
    readonly accessKeyId: string,
    readonly secretAccessKey: string,
  ) {}

  /** Starts it with one bucket, which has versions for Object Lock. @returns a reason in words when it cannot be had */
  static async start(bucket: string): Promise<VersityGateway | string> {
    const missing = await installVersityGateway();
    if (missing !== undefined) return `versitygw is not here, and could not be installed with go install: ${missing}`;
    const folder = await mkdtemp(path.join(tmpdir(), 'neon-fleet-versity-'));
    const data = path.join(folder, 'data');
    await mkdir(path.join(data, bucket), { recursive: true });
    await mkdir(path.join(folder, 'meta'));
    const port = await freePort();
    const [accessKeyId, secretAccessKey] = [randomBytes(8).toString('hex'), randomBytes(16).toString('hex')];
    const child = spawn(
      path.join(FOLDER, PROGRAM),
      [
        '--port',
        `127.0.0.1:${port}`,
        '--access',
        accessKeyId,
        '--secret',
        secretAccessKey,
        '--quiet',
        'posix',
        '--sidecar',
        path.join(folder, 'meta'),
        data,
      ],
      {
        stdio: 'ignore',
        env: { PATH: process.env['PATH'] ?? '', HOME: folder },
        cwd: folder,
      },
    );
    const endpoint = `http://127.0.0.1:${port}`;
    const gateway = new VersityGateway(child, folder, endpoint, accessKeyId, secretAccessKey);
    for (;;) {
      if (child.exitCode !== null) {
        await gateway[Symbol.asyncDispose]();
        return `versitygw ended with ${child.exitCode}`;
      }
      if (
        await fetch(endpoint).then(
          () => true,
          () => false,
        )
      )
        return gateway;
      await delay(20);
    }
  }

  /** Lets what takes its credentials from the environment, as the action does, speak to this server. */
  useCredentials(): void {
    process.env['AWS_ACCESS_KEY_ID'] = this.accessKeyId;
    process.env['AWS_SECRET_ACCESS_KEY'] = this.secretAccessKey;
  }

  /** Amazon's own client, for what the action never asks. */
  client(): S3Client {
    const { endpoint, accessKeyId, secretAccessKey } = this;
    const credentials = { accessKeyId, secretAccessKey };
    return new S3Client({ region: REGION, endpoint, forcePathStyle: true, credentials });
  }

  /** A bucket with all that Amazon's has: checksums of the whole, conditional writes, tags. */
  store(bucket: string, more: Partial<StoreOptions> = {}): ObjectStore {
    const { endpoint } = this;
    const own = { bucket, region: REGION, endpoint, forcePathStyle: true, compatible: false, maxAttempts: 2 };
    return openStore({ ...own, ...more });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      const ended = new Promise((resolve) => this.child.once('exit', resolve));
      this.child.kill();
      await ended;
    }
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** Builds it where it is not yet. @returns why it cannot be had, in words; undefined when it is there */
function installVersityGateway(): Promise<string | undefined> {
  return fetchOnce(FOLDER, PROGRAM, async (into) => {
    const environment = { ...process.env, GOBIN: into, GOFLAGS: '-mod=mod', GOTOOLCHAIN: 'local' };
    const signal = AbortSignal.timeout(FETCH_TIMEOUT_MS);
    for (const go of ['go', '/usr/local/go/bin/go']) {
      await promisify(execFile)(go, ['install', MODULE], { env: environment, signal }).catch(() => undefined);
      if (existsSync(path.join(into, PROGRAM))) return;
    }
    throw new Error('go install did not build it');
  });
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no free port');
  return address.port;
}
