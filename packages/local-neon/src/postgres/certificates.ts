import { randomBytes } from 'node:crypto';

import { generate } from 'selfsigned';

/** PEM texts of the stand-in's own certificate authority and of the one certificate that all endpoints share. */
export interface Certificates {
  readonly ca: string;
  /** The endpoints' certificate followed by the authority's. */
  readonly chain: string;
  readonly key: string;
}

const validity = () => ({
  notBeforeDate: new Date(Date.now() - 3_600_000),
  notAfterDate: new Date(Date.now() + 30 * 86_400_000),
});

/**
 * Makes a certificate authority and a certificate for `localhost`, `127.0.0.1` and `::1`. Elliptic-curve keys, because
 * every connection to an endpoint costs two handshakes with it.
 */
export async function makeCertificates(): Promise<Certificates> {
  const common = { keyType: 'ec', curve: 'P-256', algorithm: 'sha256' } as const;
  // A name of its own, so that somebody who trusts two stand-ins at once takes the right one for each.
  const name = `local-neon certificate authority ${randomBytes(4).toString('hex')}`;
  const ca = await generate([{ name: 'commonName', value: name }], {
    ...common,
    ...validity(),
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
    ],
  });
  const server = await generate([{ name: 'commonName', value: 'localhost' }], {
    ...common,
    ...validity(),
    ca: { key: ca.private, cert: ca.cert },
    extensions: [
      { name: 'basicConstraints', cA: false, critical: true },
      { name: 'keyUsage', digitalSignature: true, critical: true },
      { name: 'extKeyUsage', serverAuth: true },
      {
        name: 'subjectAltName',
        altNames: [
          { type: 2, value: 'localhost' },
          { type: 7, ip: '127.0.0.1' },
          { type: 7, ip: '::1' },
        ],
      },
    ],
  });
  return { ca: pem(ca.cert), chain: pem(server.cert) + pem(ca.cert), key: pem(server.private) };
}

const pem = (text: string) => `${text.trim().replaceAll('\r\n', '\n')}\n`;
