import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';

/** A request on its way to the Neon API. */
export interface PassingRequest {
  readonly method: string;
  readonly path: string;
}

/** Who stands at the way. Each may take its time; what is answered with false goes no further. */
export interface Watchers {
  /** Before the API hears of a request. */
  readonly onRequest?: (request: PassingRequest) => unknown;
  /** When the request has been carried out, and its sender does not know yet. */
  readonly onAnswer?: (request: PassingRequest) => unknown;
}

/** Opens a way to the Neon API that is watched. */
export async function watchApi(
  apiUrl: string,
  watchers: Watchers,
): Promise<{ readonly url: string } & AsyncDisposable> {
  const url = new URL(apiUrl);
  const { hostname, port } = url;
  const pass = async (incoming: http.IncomingMessage, response: http.ServerResponse) => {
    const body = await bytesOf(incoming);
    const { method = '', url: path = '', headers } = incoming;
    if ((await watchers.onRequest?.({ method, path })) === false) return void incoming.socket.destroy();
    const onward = http.request({ hostname, port, path, method, headers });
    onward.end(body);
    const [answer] = (await once(onward, 'response')) as [http.IncomingMessage];
    const answered = await bytesOf(answer);
    if ((await watchers.onAnswer?.({ method, path })) === false) return void incoming.socket.destroy();
    response.writeHead(answer.statusCode ?? 502, answer.headers).end(answered);
  };
  const server = http.createServer((incoming, response) => {
    pass(incoming, response).catch(() => incoming.socket.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url.port = String((server.address() as AddressInfo).port);
  return {
    url: url.href,
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

async function bytesOf(message: http.IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
