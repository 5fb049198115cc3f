/** What a client's first packet asks for. */
export type FirstPacket =
  | { readonly kind: 'ssl' }
  | { readonly kind: 'gss' }
  | { readonly kind: 'cancel'; readonly packet: Buffer }
  | { readonly kind: 'startup'; readonly protocol: number; readonly parameters: ReadonlyMap<string, string> }
  /** A TLS handshake without the request for one, as libpq 17 can do it. */
  | { readonly kind: 'direct-tls' }
  | { readonly kind: 'incomplete' }
  | { readonly kind: 'garbage' };

const SSL_REQUEST = 80877103;
const GSS_REQUEST = 80877104;
const CANCEL_REQUEST = 80877102;
const LONGEST_STARTUP = 10_000;
const TLS_HANDSHAKE = 0x16;

/** The request for encryption, as we send it to the real server. */
export const sslRequest = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);

/** Reads the packet that opens a connection. Bytes after it are not looked at: see {@link packetLength}. */
export function parseFirstPacket(bytes: Buffer): FirstPacket {
  if (bytes[0] === TLS_HANDSHAKE) return { kind: 'direct-tls' };
  if (bytes.length < 8) return { kind: 'incomplete' };
  const length = bytes.readInt32BE(0);
  if (length < 8 || length > LONGEST_STARTUP) return { kind: 'garbage' };
  if (bytes.length < length) return { kind: 'incomplete' };
  const code = bytes.readInt32BE(4);
  if (code === SSL_REQUEST) return { kind: 'ssl' };
  if (code === GSS_REQUEST) return { kind: 'gss' };
  if (code === CANCEL_REQUEST) return { kind: 'cancel', packet: Buffer.from(bytes.subarray(0, length)) };
  if (code >>> 16 !== 3) return { kind: 'garbage' };
  const texts = bytes.toString('utf8', 8, length).split('\0');
  const parameters = new Map<string, string>();
  for (let index = 0; index + 1 < texts.length && texts[index] !== ''; index += 2) {
    parameters.set(texts[index] ?? '', texts[index + 1] ?? '');
  }
  return { kind: 'startup', protocol: code, parameters };
}

/** Length of the packet at the start of `bytes`. */
export const packetLength = (bytes: Buffer): number => bytes.readInt32BE(0);

/** The startup packet with these parameters. */
export function startupPacket(protocol: number, parameters: ReadonlyMap<string, string>): Buffer {
  const texts = [...parameters].map(([name, value]) => `${name}\0${value}\0`).join('');
  const body = Buffer.from(`${texts}\0`, 'utf8');
  const head = Buffer.alloc(8);
  head.writeInt32BE(body.length + 8, 0);
  head.writeInt32BE(protocol, 4);
  return Buffer.concat([head, body]);
}

/** An error that the stand-in answers in the server's place. */
export interface WireError {
  readonly severity: 'FATAL' | 'ERROR';
  readonly code: string;
  readonly message: string;
}

export function errorResponse({ severity, code, message }: WireError): Buffer {
  const fields = Buffer.from(`S${severity}\0V${severity}\0C${code}\0M${message}\0\0`, 'utf8');
  const head = Buffer.alloc(5);
  head.write('E', 0, 'latin1');
  head.writeInt32BE(fields.length + 4, 1);
  return Buffer.concat([head, fields]);
}
