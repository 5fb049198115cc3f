import { randomUUID } from 'node:crypto';
import { isIP } from 'node:net';
import { Writable } from 'node:stream';
import { createSecureContext, type ConnectionOptions, type SecureContext } from 'node:tls';

import pRetry from 'p-retry';
import pg from 'pg';

import { isTransient, postgresError } from './errors.js';
import { placeOf, type ConnectionTarget } from './target.js';

export interface ConnectOptions {
  readonly signal?: AbortSignal;
  /** PEM texts of the authorities to believe; absent: the public ones. */
  readonly authorities?: readonly string[] | undefined;
  /** What shows in `pg_stat_activity`, before a number of the connection's own. */
  readonly applicationName?: string;
  readonly connectTimeoutMs?: number;
}

export type Row = Readonly<Record<string, unknown>>;

/** One connection. Every failure it throws is safe to print. */
export interface Connection {
  /** Runs SQL; without parameters it may be several statements, of which the last one's rows are given. */
  query(sql: string, parameters?: readonly unknown[]): Promise<Row[]>;
  /**
   * Sends several queries at once, without waiting for one before sending the next: one round trip for all. Each is
   * answered by itself, and one that fails does not keep those after it from being run, unless they share a transaction.
   */
  pipeline(sqls: readonly string[]): Promise<PromiseSettledResult<Row[]>[]>;
  close(): Promise<void>;
}

/** Long enough for a compute that has to be started first. */
const CONNECT_TIMEOUT_MS = 30_000;
const CONNECT_RETRIES = { retries: 2, minTimeout: 300, randomize: true } as const;
const CLOSE_TIMEOUT_MS = 1_000;
const CANCEL_TIMEOUT_MS = 2_000;

/**
 * Opens a connection, and keeps it obedient: when the signal is aborted the running statement is cancelled on the server
 * (by a second connection, so that it also works behind a proxy), and should that not help, the connection is cut.
 *
 * @throws PostgresError, or the reason of the signal.
 */
export async function connect(target: ConnectionTarget, options: ConnectOptions = {}): Promise<Connection> {
  const { signal } = options;
  signal?.throwIfAborted();
  const name = `${options.applicationName ?? 'neon-fleet'} ${randomUUID().slice(0, 13)}`;
  // A compute that is just waking or moving refuses for a moment. Nothing was asked of it yet, so asking again is safe.
  const client = await pRetry(() => open(target, { ...options, applicationName: name }), {
    ...CONNECT_RETRIES,
    shouldRetry: ({ error }) => isTransient(error),
    ...(signal === undefined ? {} : { signal }),
  });

  const onAbort = () => void cancelThenCut(client, name, target, options);
  signal?.addEventListener('abort', onAbort, { once: true });

  const query = async (sql: string, parameters?: readonly unknown[]) => {
    try {
      const result: unknown = await client.query(sql, parameters === undefined ? undefined : [...parameters]);
      return rowsOf(result);
    } catch (thrown) {
      throw postgresError(thrown);
    }
  };

  return {
    query,
    pipeline(sqls) {
      const stream = streamOf(client);
      // In one piece: as many packets as needed, and not one for each query.
      stream?.cork();
      const answers = sqls.map((sql) => query(sql));
      stream?.uncork();
      return Promise.allSettled(answers);
    },
    async close() {
      signal?.removeEventListener('abort', onAbort);
      await end(client);
    },
  };
}

async function open(target: ConnectionTarget, options: ConnectOptions): Promise<pg.Client> {
  const attempts: (false | ConnectionOptions)[] = {
    off: [false] as const,
    verified: [tlsOptions(target, options.authorities, true)],
    encrypted: [tlsOptions(target, options.authorities, false)],
    opportunistic: [tlsOptions(target, options.authorities, false), false as const],
  }[target.tls].slice();
  for (;;) {
    const ssl = attempts.shift() ?? false;
    try {
      return await openOnce(target, ssl, options);
    } catch (thrown) {
      options.signal?.throwIfAborted();
      const plainIsNext =
        attempts.length > 0 && thrown instanceof Error && /does not support SSL/i.test(thrown.message);
      if (!plainIsNext) throw postgresError(thrown, { doing: `connecting to ${placeOf(target)}` });
    }
  }
}

function tlsOptions(
  { host }: ConnectionTarget,
  authorities: readonly string[] | undefined,
  verify: boolean,
): ConnectionOptions {
  return {
    rejectUnauthorized: verify,
    ...(isIP(host) === 0 ? { servername: host } : { host }),
    secureContext: trustIn(authorities),
  };
}

const contexts = new Map<string, SecureContext>();

/** One context for all connections that believe the same authorities: making one costs as much as a handshake. */
function trustIn(authorities: readonly string[] | undefined): SecureContext {
  const key = authorities?.join('\n') ?? '';
  const known = contexts.get(key);
  if (known !== undefined) return known;
  const made = createSecureContext(authorities === undefined ? {} : { ca: [...authorities] });
  contexts.set(key, made);
  return made;
}

async function openOnce(
  target: ConnectionTarget,
  ssl: false | ConnectionOptions,
  { signal, applicationName, connectTimeoutMs }: ConnectOptions,
): Promise<pg.Client> {
  const client = new pg.Client({
    host: target.host,
    port: target.port,
    user: target.user,
    password: target.password,
    database: target.database,
    ssl,
    enableChannelBinding: ssl !== false,
    application_name: applicationName ?? 'neon-fleet',
    connectionTimeoutMillis: connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
    keepAlive: true,
    pipeline: true,
    ...(target.options === undefined ? {} : { options: target.options }),
  });
  // A connection that breaks while idle emits an error nobody waits for; the next query reports it.
  client.on('error', () => undefined);
  let onAbort: () => void = () => undefined;
  // The driver's own promise stays open for ever when a connection is ended while it is being made.
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal?.reason instanceof Error ? signal.reason : new Error('aborted'));
  });
  aborted.catch(() => undefined);
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    await Promise.race([client.connect(), aborted]);
    return client;
  } catch (thrown) {
    void end(client);
    throw thrown;
  } finally {
    signal?.removeEventListener('abort', onAbort);
  }
}

// By name and not by the key that the connection was given: proxies hand out keys of their own.
const CANCEL_BY_NAME = 'SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = $1';

async function cancelThenCut(
  client: pg.Client,
  applicationName: string,
  target: ConnectionTarget,
  { authorities }: ConnectOptions,
): Promise<void> {
  const cut = setTimeout(() => void end(client, 0), CANCEL_TIMEOUT_MS);
  client.once('end', () => clearTimeout(cut));
  try {
    const second = await open(target, { authorities, connectTimeoutMs: CANCEL_TIMEOUT_MS });
    await second.query(CANCEL_BY_NAME, [applicationName]).finally(() => end(second));
  } catch {
    // The cut that follows is the answer to a cancel that did not get through.
  }
}

/** Ends a connection politely, and by cutting it when politeness takes too long. */
async function end(client: pg.Client, politeMs = CLOSE_TIMEOUT_MS): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const impatience = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, politeMs);
  });
  await Promise.race([client.end().catch(() => undefined), impatience]);
  clearTimeout(timer);
  streamOf(client)?.destroy();
}

/** The socket below a client: public in JavaScript, missing in the type declarations. */
function streamOf(client: pg.Client): Writable | undefined {
  const connection: unknown = Reflect.get(client, 'connection');
  if (typeof connection !== 'object' || connection === null) return undefined;
  const stream: unknown = Reflect.get(connection, 'stream');
  return stream instanceof Writable ? stream : undefined;
}

function rowsOf(result: unknown): Row[] {
  const last: unknown = Array.isArray(result) ? result.at(-1) : result;
  if (typeof last !== 'object' || last === null || !('rows' in last)) return [];
  return Array.isArray(last.rows) ? (last.rows as Row[]) : [];
}
