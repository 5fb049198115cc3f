import { readFile } from 'node:fs/promises';

/** The environment variables that say whose certificates to believe. */
export interface TrustEnvironment {
  /** libpq's own: a file that replaces the system's authorities. */
  readonly PGSSLROOTCERT?: string | undefined;
  /** Node's own: a file whose authorities are believed besides the public ones. */
  readonly NODE_EXTRA_CA_CERTS?: string | undefined;
}

/** Where the certificate authorities that a client program is to believe come from. */
export type TrustSource =
  | { readonly kind: 'file'; readonly path: string }
  /** The public authorities and those of a file: has to be written out for programs that take one file only. */
  | { readonly kind: 'public-and-file'; readonly path: string }
  | { readonly kind: 'public' };

/** Decides whose certificates to believe; the same rule for connections of our own and for child processes. */
export function trustSource(env: TrustEnvironment): TrustSource {
  const root = env.PGSSLROOTCERT;
  if (root !== undefined && root !== '' && root !== 'system') return { kind: 'file', path: root };
  const extra = env.NODE_EXTRA_CA_CERTS;
  return extra === undefined || extra === '' ? { kind: 'public' } : { kind: 'public-and-file', path: extra };
}

/**
 * The authorities as PEM texts, for a TLS connection of our own; undefined means Node's own list.
 *
 * @throws the error of reading the file.
 */
export async function trustedAuthorities(env: TrustEnvironment): Promise<string[] | undefined> {
  const source = trustSource(env);
  // NODE_EXTRA_CA_CERTS is believed by Node itself. A list of our own would cost a megabyte for each connection.
  return source.kind === 'file' ? [await readFile(source.path, 'utf8')] : undefined;
}
