import net from 'node:net';

/** A TCP port of its own on loopback. */
export interface LoopbackPort {
  readonly port: number;
  close(): void;
}

/**
 * Listens on a free port of 127.0.0.1 and, where the machine has it, on the same port of ::1, because `localhost` can
 * mean either.
 *
 * @throws Error when the system has no port or file descriptor left
 */
export async function listenOnLoopback(
  onConnection: (socket: net.Socket) => void,
  withIpv6: boolean,
): Promise<LoopbackPort> {
  for (let attempt = 1; ; attempt++) {
    const ipv4 = await listen(onConnection, '127.0.0.1', 0);
    const { port } = ipv4;
    if (!withIpv6) return { port, close: () => ipv4.server.close() };
    try {
      const ipv6 = await listen(onConnection, '::1', port);
      const close = () => {
        ipv4.server.close();
        ipv6.server.close();
      };
      return { port, close };
    } catch (error) {
      const taken = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
      if (!taken) return { port, close: () => ipv4.server.close() };
      ipv4.server.close();
      if (attempt >= 10) throw error;
    }
  }
}

function listen(
  onConnection: (socket: net.Socket) => void,
  host: string,
  port: number,
): Promise<{ server: net.Server; port: number }> {
  const server = net.createServer({ noDelay: true }, onConnection);
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port, backlog: 512 }, () => {
      server.off('error', reject);
      server.on('error', () => undefined); // out of file descriptors: the client sees a connection that isn't taken
      const address = server.address();
      if (address === null || typeof address === 'string') reject(new Error('the system gave no port'));
      else resolve({ server, port: address.port });
    });
  });
}
