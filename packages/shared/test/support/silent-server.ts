import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';

/** A server on loopback that takes every connection and never says anything, as one that hangs. */
export interface SilentServer extends AsyncDisposable {
  /** A catalog there. */
  readonly catalogUrl: string;
  /** Resolves when somebody has connected since the server was there. */
  readonly asked: Promise<unknown>;
}

export async function silentServer(): Promise<SilentServer> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.resume();
  });
  const asked = once(server, 'connection');
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    catalogUrl: `postgresql://fleet:word@127.0.0.1:${port}/catalog?sslmode=disable`,
    asked,
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
