import { createServer, connect as dial, type AddressInfo } from 'node:net';

/** A way to a server that cuts the first connection that commits, either just before COMMIT or just after it. */
export async function cutAtCommit(
  url: string,
  moment: 'before' | 'after',
): Promise<{ readonly url: string } & AsyncDisposable> {
  const target = new URL(url);
  const { hostname, port } = target;
  let armed = true;
  const server = createServer((client) => {
    const upstream = dial(Number(port), hostname);
    let committing = false;
    const cut = () => {
      armed = false;
      client.destroy();
      upstream.destroy();
    };
    client.on('data', (data) => {
      if (armed && data.includes('COMMIT')) {
        if (moment === 'before') {
          cut();
          return;
        }
        committing = true;
      }
      upstream.write(data);
    });
    upstream.on('data', (data) => {
      // This is the server's answer to COMMIT; the client never hears of it.
      if (committing && data.includes('COMMIT')) cut();
      else client.write(data);
    });
    client.on('error', () => upstream.destroy()).on('close', () => upstream.destroy());
    upstream.on('error', () => client.destroy()).on('close', () => client.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  target.port = String((server.address() as AddressInfo).port);
  target.searchParams.set('sslmode', 'disable');
  return {
    url: target.href,
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())),
  };
}
