import { createServer, request, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import {
  GetObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import type { LocalNeon } from '@neon-fleet/local-neon';

/** Looks into the S3 server without the project's own code. */
export class StoreInspector implements Disposable {
  readonly #client: S3Client;

  constructor(private readonly s3: LocalNeon['s3']) {
    this.#client = new S3Client({
      endpoint: s3.endpoint,
      region: s3.region,
      forcePathStyle: true,
      credentials: { accessKeyId: s3.accessKeyId, secretAccessKey: s3.secretAccessKey },
    });
  }

  /** All keys below a prefix, sorted. */
  async keys(prefix = ''): Promise<string[]> {
    const { Contents = [] } = await this.#client.send(
      new ListObjectsV2Command({ Bucket: this.s3.bucket, Prefix: prefix }),
    );
    return Contents.map(({ Key = '' }) => Key).toSorted();
  }

  /** Keys of uploads that were begun and neither completed nor aborted. */
  async unfinishedUploads(): Promise<string[]> {
    const { Uploads = [] } = await this.#client.send(new ListMultipartUploadsCommand({ Bucket: this.s3.bucket }));
    return Uploads.map(({ Key = '' }) => Key);
  }

  async read(key: string): Promise<Buffer> {
    const { Body } = await this.#client.send(new GetObjectCommand({ Bucket: this.s3.bucket, Key: key }));
    return Buffer.from((await Body?.transformToByteArray()) ?? []);
  }

  /** Puts something else in the place of an object, as nobody should. */
  async write(key: string, body: Buffer): Promise<void> {
    await this.#client.send(new PutObjectCommand({ Bucket: this.s3.bucket, Key: key, Body: body }));
  }

  [Symbol.dispose](): void {
    this.#client.destroy();
  }
}

/** What a proxy does with a request: pass it on, answer with a status, or close the connection. */
export type Verdict = 'pass' | 'close' | number;

/** A proxy in front of the S3 server that lets a test decide about each request. */
export class S3Proxy implements AsyncDisposable {
  private constructor(
    private readonly server: Server,
    readonly endpoint: string,
  ) {}

  /** @param decide sees each request before it is passed on. */
  static async start(upstream: string, decide: (request: IncomingMessage) => Verdict): Promise<S3Proxy> {
    const target = new URL(upstream);
    const server = createServer((incoming, outgoing) => {
      const verdict = decide(incoming);
      if (verdict === 'close') {
        incoming.socket.destroy();
        return;
      }
      if (verdict !== 'pass') {
        incoming.resume();
        outgoing.writeHead(verdict, { 'content-type': 'application/xml', connection: 'close' });
        outgoing.end('<?xml version="1.0"?><Error><Code>InternalError</Code><Message>made to fail</Message></Error>');
        return;
      }
      const passedOn = request(
        {
          host: target.hostname,
          port: target.port,
          method: incoming.method,
          path: incoming.url,
          // The host stays the client's: it is part of what was signed.
          headers: incoming.headers,
        },
        (answer) => {
          outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
          answer.pipe(outgoing);
        },
      );
      passedOn.on('error', () => outgoing.destroy());
      incoming.on('error', () => passedOn.destroy());
      incoming.pipe(passedOn);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    return new S3Proxy(server, `http://127.0.0.1:${port}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

/** Whether a request to the S3 server sends one part of a multipart upload. */
export function isPart({ method, url = '' }: IncomingMessage): boolean {
  return method === 'PUT' && url.includes('partNumber=');
}
