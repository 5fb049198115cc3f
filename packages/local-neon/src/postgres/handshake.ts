import net from 'node:net';
import tls from 'node:tls';
import { packetLength, parseFirstPacket, sslRequest, type FirstPacket } from './wire.js';

const FIRST_PACKET_TIMEOUT_MS = 15_000;

/** A client that has said what it wants. */
export interface Greeting {
  readonly stream: net.Socket;
  readonly encrypted: boolean;
  readonly request: Extract<FirstPacket, { kind: 'startup' | 'cancel' }>;
}

/**
 * Talks with a client until it has said whom it wants to be connected with: answers requests for encryption, with TLS
 * where asked.
 *
 * @returns `undefined` when the client left or spoke something else
 */
export async function greet(socket: net.Socket, context: tls.SecureContext): Promise<Greeting | undefined> {
  let stream = socket;
  let encrypted = false;
  for (;;) {
    const request = await firstPacket(stream);
    switch (request?.kind) {
      case 'startup':
      case 'cancel':
        return { stream, encrypted, request };
      case 'gss':
        stream.write('N');
        break;
      case 'ssl':
      case 'direct-tls': {
        if (encrypted) return undefined;
        if (request.kind === 'ssl') stream.write('S');
        const secured = await terminate(socket, context, request.kind === 'direct-tls');
        if (!secured) return undefined;
        stream = secured;
        encrypted = true;
        break;
      }
      default:
        return undefined;
    }
  }
}

function terminate(
  socket: net.Socket,
  secureContext: tls.SecureContext,
  direct: boolean,
): Promise<tls.TLSSocket | undefined> {
  const secured = new tls.TLSSocket(socket, {
    isServer: true,
    secureContext,
    ...(direct ? { ALPNProtocols: ['postgresql'] } : {}),
  });
  return new Promise((resolve) => {
    secured.once('secure', () => resolve(secured));
    secured.on('error', () => resolve(undefined));
    secured.once('close', () => resolve(undefined));
  });
}

/** Reads exactly one packet; what follows it stays in the stream. */
function firstPacket(stream: net.Socket): Promise<FirstPacket | undefined> {
  return new Promise((resolve) => {
    let bytes = Buffer.alloc(0);
    const finish = (packet: FirstPacket | undefined, rest: Buffer) => {
      clearTimeout(timer);
      stream.off('readable', read);
      stream.off('close', gone);
      stream.off('end', gone);
      if (rest.length > 0) stream.unshift(rest);
      resolve(packet);
    };
    const gone = () => finish(undefined, Buffer.alloc(0));
    const read = () => {
      for (let chunk = stream.read() as Buffer | null; chunk !== null; chunk = stream.read() as Buffer | null) {
        bytes = Buffer.concat([bytes, chunk]);
      }
      const packet = parseFirstPacket(bytes);
      if (packet.kind === 'incomplete') return;
      if (packet.kind === 'direct-tls') finish(packet, bytes);
      else if (packet.kind === 'garbage') finish(packet, Buffer.alloc(0));
      else {
        const rest = bytes.subarray(packetLength(bytes));
        // Nothing may follow a request for encryption in clear: it would be taken for encrypted later.
        if (packet.kind === 'ssl' && rest.length > 0) finish({ kind: 'garbage' }, Buffer.alloc(0));
        else finish(packet, rest);
      }
    };
    const timer = setTimeout(gone, FIRST_PACKET_TIMEOUT_MS);
    stream.on('readable', read);
    stream.once('close', gone);
    stream.once('end', gone);
    read();
  });
}

/** One for all connections, as making one costs as much as the handshake. */
const UPSTREAM = tls.createSecureContext();

/**
 * Opens an encrypted connection to the real server. It shows the same certificate as the endpoints, so that SCRAM's
 * channel binding, which hashes the certificate, holds from the client through to it. Nothing is verified here: it is our
 * own server on loopback, and a client that binds its password to the certificate verifies it all the way.
 */
export async function connectUpstream(port: number): Promise<tls.TLSSocket> {
  const socket = net.connect({ host: '127.0.0.1', port, noDelay: true });
  try {
    await once(socket, 'connect');
    socket.write(sslRequest);
    await once(socket, 'readable');
    const answer = socket.read(1) as Buffer | null;
    if (answer?.toString() !== 'S') throw new Error('the real server offers no encryption');
    const secured = tls.connect({
      socket,
      secureContext: UPSTREAM,
      servername: 'localhost',
      rejectUnauthorized: false,
    });
    await once(secured, 'secureConnect');
    return secured;
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

function once(stream: net.Socket, event: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (error?: Error) => {
      stream.off(event, ok);
      stream.off('error', done);
      stream.off('close', closed);
      if (error) reject(error);
      else resolve();
    };
    const ok = () => done();
    const closed = () => done(new Error('the real server closed the connection'));
    stream.once(event, ok);
    stream.once('error', done);
    stream.once('close', closed);
  });
}

/** Hands a request to cancel a query to the real server, which knows the keys it gave out. */
export function forwardCancel(port: number, packet: Buffer): Promise<void> {
  return new Promise((resolve) => {
    const socket = net.connect({ host: '127.0.0.1', port }, () => socket.end(packet));
    socket.on('error', () => undefined);
    socket.resume();
    socket.once('close', () => resolve());
  });
}
