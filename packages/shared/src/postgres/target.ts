import { ExplainedError } from '../errors/index.js';

/**
 * How far a connection must prove whom it talks to.
 *
 * `verified`: TLS, with certificate and host name checked. `encrypted`: TLS without a check, only when somebody wrote
 * `sslmode=no-verify`. `opportunistic`: TLS when the server offers it, libpq's own default. `off`: no TLS.
 */
export type TlsMode = 'verified' | 'encrypted' | 'opportunistic' | 'off';

/** The host of a connection URI, with its port where that is not PostgreSQL's own: what an endpoint is known by. */
export function hostOf(uri: string): string {
  const { host, port } = parseConnectionUri(uri);
  return port === DEFAULT_PORT ? host : `${host}:${port}`;
}

/** The host of an endpoint, however it is written: in lower case, and not the one of its two that goes through a pooler. */
export function directHost(host: string): string {
  return host.toLowerCase().replace(/^([^.]+)-pooler(?=\.)/, '$1');
}

/** Where and as whom to connect: a connection URI taken apart. It carries a password. */
export interface ConnectionTarget {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  readonly tls: TlsMode;
  /** Whether the URI insists on channel binding (`channel_binding=require`), which proves the server by the password too. */
  readonly requireChannelBinding?: boolean;
  /** `options=…` of the URI, passed on as it is. */
  readonly options?: string;
}

const DEFAULT_PORT = 5432;

/**
 * Reads a `postgresql://` URI, Neon's (`?sslmode=require&channel_binding=require`) or any other.
 *
 * `sslmode=require` is taken as "verified": Neon's certificates are public, and encrypting to somebody unknown protects
 * nobody. `allow` and `prefer` keep libpq's meaning.
 *
 * @throws ExplainedError that never repeats the URI, since it holds a password.
 */
export function parseConnectionUri(uri: string): ConnectionTarget {
  const url = URL.canParse(uri) ? new URL(uri) : undefined;
  if (url === undefined || !['postgresql:', 'postgres:'].includes(url.protocol)) {
    throw unusable('it is not of the form postgresql://user:…@host/database');
  }
  const user = decode(url.username);
  const database = decode(url.pathname.slice(1));
  const host = firstFilled(decode(url.hostname).replace(/^\[(.*)\]$/, '$1'), url.searchParams.get('host'));
  if (host === '') throw unusable('it names no host');
  if (user === '') throw unusable('it names no user');
  const options = url.searchParams.get('options');
  return {
    host,
    port: url.port === '' ? Number(url.searchParams.get('port') ?? DEFAULT_PORT) : Number(url.port),
    user,
    password: firstFilled(decode(url.password), url.searchParams.get('password')),
    database: database === '' ? user : database,
    tls: tlsMode(url.searchParams.get('sslmode')),
    ...(url.searchParams.get('channel_binding') === 'require' ? { requireChannelBinding: true } : {}),
    ...(options === null ? {} : { options }),
  };
}

/** The place a target points at, without user and password: what may be printed. */
export function placeOf({ host, port, database }: ConnectionTarget): string {
  return `${host}:${port}/${database}`;
}

function tlsMode(sslmode: string | null): TlsMode {
  switch (sslmode) {
    case null:
    case 'allow':
    case 'prefer':
      return 'opportunistic';
    case 'disable':
      return 'off';
    case 'no-verify':
      return 'encrypted';
    case 'require':
    case 'verify-ca':
    case 'verify-full':
      return 'verified';
    default:
      throw unusable(`its sslmode is not one of disable, allow, prefer, require, verify-ca, verify-full, no-verify`);
  }
}

function firstFilled(first: string, second: string | null): string {
  return first === '' ? (second ?? '') : first;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw unusable('a part of it is not properly percent-encoded');
  }
}

function unusable(why: string): ExplainedError {
  return new ExplainedError({ message: `the connection URI cannot be used: ${why}` });
}
