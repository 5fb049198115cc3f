import { createServer, request as send, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What is known of a request before it is passed on. */
export interface SeenRequest {
  readonly method: string;
  readonly url: string;
  /** The number of the part that it carries, when it does. */
  readonly part: number | undefined;
  /** How many requests of this method there were, this one included. */
  readonly count: (method: string) => number;
}

/** Answer with a status, cut the connection at once or in the middle of the body, or carry out but not answer. */
export type Failure = number | 'close' | 'close-midway' | 'lose-answer' | undefined;
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
    if (typeof failure === 'number') {
      incoming.resume();
      incoming.once('end', () => {
        outgoing.writeHead(failure, { 'content-type': 'application/xml' });
        outgoing.end('<Error><Code>InternalError</Code><Message>We encountered an internal error.</Message></Error>');
      });
      return;
    }
    // The host stays the client's: it is part of what was signed.
    const { hostname: host, port } = this.upstream;
    const onward = send({ host, port, method, path: url, headers }, (answer) => {
      if (failure === 'lose-answer') {
        answer.resume();
        answer.once('end', () => outgoing.destroy());
        return;
      }
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    onward.on('error', () => outgoing.destroy());
    incoming.on('error', () => onward.destroy());
    incoming.pipe(onward);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}
