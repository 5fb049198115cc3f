import {
  createServer,
  request as send,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';

/** What is known of a request before it is passed on. */
export interface SeenRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  /** The number of the part that it carries, when it does. */
  readonly part: number | undefined;
  /** How many requests of this method there were, this one included. */
  readonly count: (method: string) => number;
}

/** A refusal in S3's own form. */
export interface Refusal {
  readonly status: number;
  readonly code: string;
  readonly message: string;
}

/**
 * Answer with a status or a refusal, cut the connection at once or in the middle of the body, carry out but not answer, or
 * let request and answer through in drips.
 */
export type Failure = number | Refusal | 'close' | 'close-midway' | 'lose-answer' | 'drip' | undefined;
export type Fault = (request: SeenRequest) => Failure;

/** A proxy in front of an S3 server that fails where it is told to. */
export class FailingProxy implements AsyncDisposable {
  /** How often it failed. */
  faults = 0;
  readonly #counts = new Map<string, number>();

  private constructor(
    private readonly server: Server,
    private readonly upstream: URL,
    private readonly fault: Fault,
  ) {
    server.on('request', (incoming: IncomingMessage, outgoing: ServerResponse) => this.#handle(incoming, outgoing));
  }

  static async start(upstream: string, fault: Fault): Promise<FailingProxy> {
    const proxy = new FailingProxy(createServer(), new URL(upstream), fault);
    await new Promise<void>((resolve) => proxy.server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get endpoint(): string {
    const { port } = this.server.address() as AddressInfo;
    return `http://127.0.0.1:${port}`;
  }

  #handle(incoming: IncomingMessage, outgoing: ServerResponse): void {
    const { method = '', url = '', headers } = incoming;
    this.#counts.set(method, (this.#counts.get(method) ?? 0) + 1);
    const part = /[?&]partNumber=(\d+)/.exec(url)?.[1];
    const failure = this.fault({
      method,
      url,
      headers,
      part: part === undefined ? undefined : Number(part),
      count: (name) => this.#counts.get(name) ?? 0,
    });
    if (failure !== undefined) this.faults += 1;
    if (failure === 'close') {
      incoming.socket.destroy();
      return;
    }
    if (failure === 'close-midway') {
      incoming.once('data', () => incoming.socket.destroy());
      return;
    }
    if (typeof failure === 'number' || typeof failure === 'object') {
      const { status, code, message } = typeof failure === 'object' ? failure : internalError(failure);
      incoming.resume();
      incoming.once('end', () => {
        outgoing.writeHead(status, { 'content-type': 'application/xml' });
        outgoing.end(`<Error><Code>${code}</Code><Message>${message}</Message></Error>`);
      });
      return;
    }
    const slowly = failure === 'drip';
    // The host stays the client's: it is part of what was signed.
    const { hostname: host, port } = this.upstream;
    const onward = send({ host, port, method, path: url, headers }, (answer) => {
      if (failure === 'lose-answer') {
        answer.resume();
        answer.once('end', () => outgoing.destroy());
        return;
      }
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      if (slowly) pipeline(drips(answer, 40), outgoing).catch(() => outgoing.destroy());
      else answer.pipe(outgoing);
    });
    onward.on('error', () => outgoing.destroy());
    incoming.on('error', () => onward.destroy());
    if (slowly) pipeline(drips(incoming, 256 * 1024), onward).catch(() => onward.destroy());
    else incoming.pipe(onward);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

const internalError = (status: number): Refusal => ({
  status,
  code: 'InternalError',
  message: 'We encountered an internal error.',
});

/** A stream in pieces, with a moment between them. */
async function* drips(source: Readable, bytes: number): AsyncGenerator<Buffer> {
  for await (const chunk of source as AsyncIterable<Buffer>) {
    for (let at = 0; at < chunk.length; at += bytes) {
      await delay(5);
      yield chunk.subarray(at, at + bytes);
    }
  }
}
