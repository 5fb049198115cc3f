import { createServer, connect as dial, type AddressInfo, type Socket } from 'node:net';

/** A way to a PostgreSQL server on which it can be seen how often the client speaks and waits for an answer. */
export interface WatchedWay extends AsyncDisposable {
  /** Of the same database, by this way and without TLS. */
  readonly url: string;
  /** How often a client has spoken so far, after the server had: round trips, those of connecting included. */
  readonly turns: number;
}

/**
 * Opens a way to a server.
 *
 * @param onTurn called when a client begins to speak for the n-th time (from 1), before the server hears it; with false
 *   the server never hears it, and the connection hangs.
 */
export async function watchWay(url: string, onTurn: (turn: number) => boolean = () => true): Promise<WatchedWay> {
  const target = new URL(url);
  const { hostname, port } = target;
  const sockets = new Set<Socket>();
  let turns = 0;
  const server = createServer((client) => {
    const upstream = dial(Number(port), hostname);
    let clientSpeaks = false;
    let silent = false;
    client.on('data', (data) => {
      if (!clientSpeaks) {
        clientSpeaks = true;
        turns += 1;
        if (!onTurn(turns)) silent = true;
      }
      if (!silent) upstream.write(data);
    });
    upstream.on('data', (data) => {
      clientSpeaks = false;
      client.write(data);
    });
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket);
      socket.on('error', () => other.destroy()).on('close', () => other.destroy());
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  target.port = String((server.address() as AddressInfo).port);
  target.searchParams.set('sslmode', 'disable');
  return {
    url: target.href,
    get turns() {
      return turns;
    },
    [Symbol.asyncDispose]: () => {
      for (const socket of sockets) socket.destroy();
      return new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
