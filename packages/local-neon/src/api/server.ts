import { randomUUID } from 'node:crypto';
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RuleOf } from '../faults/faults.js';
import { adminAnswer } from './admin.js';
import { dispatch } from './dispatch.js';
import { ApiError, badRequest } from './errors.js';
import { RateLimit } from './rate-limit.js';
import type { ApiSpec, Route } from './spec.js';
import { answerWithFault, requestKinds } from './misbehave.js';
import type { Answer, World } from './world.js';

/** A request that the API was sent. */
export interface LoggedRequest {
  readonly method: string;
  readonly path: string;
  /** Status of the answer; 0 when there was none. */
  readonly status: number;
  /** When it arrived, in milliseconds since the epoch. */
  readonly atMs: number;
}

export interface ApiServerOptions {
  readonly world: World;
  readonly spec: ApiSpec;
  readonly port: number;
  readonly apiKey: string;
  readonly latencyMs: number;
  readonly rateLimitPerMinute: number | undefined;
  readonly log: (line: string) => void;
}

export interface ApiServer {
  readonly port: number;
  readonly requests: readonly LoggedRequest[];
  close(): Promise<void>;
}

const PREFIX = '/api/v2';
const LONGEST_BODY = 1_048_576;

/** Serves the API, and the stand-in's own controls below `/_local`, on 127.0.0.1. @throws Error when the port is taken */
export async function startApiServer(options: ApiServerOptions): Promise<ApiServer> {
  const requests: LoggedRequest[] = [];
  const limit =
    options.rateLimitPerMinute === undefined ? undefined : new RateLimit(options.rateLimitPerMinute, Date.now());
  const server = http.createServer({ keepAliveTimeout: 30_000 }, (request, response) => {
    const atMs = Date.now();
    const url = new URL(request.url ?? '/', 'http://localhost');
    const work = url.pathname.startsWith('/_local/')
      ? serveAdmin(options, request, response, url)
      : serve(options, limit, request, response, url).then((status) => {
          requests.push({
            method: request.method ?? '',
            path: url.pathname.slice(PREFIX.length) + url.search,
            status,
            atMs,
          });
        });
    work.catch((error: unknown) => {
      if (!response.destroyed) options.log(`local-neon: ${request.method ?? ''} ${url.pathname}: ${String(error)}`);
      response.destroy();
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, '127.0.0.1', resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the API got no port');
  const close = async () => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeAllConnections();
    await closed;
  };
  return { port: address.port, requests, close };
}

/** @returns the status that was answered, 0 for none */
async function serve(
  options: ApiServerOptions,
  limit: RateLimit | undefined,
  request: http.IncomingMessage,
  response: http.ServerResponse,
  url: URL,
): Promise<number> {
  const requestId = header(request, 'x-request-id') ?? randomUUID();
  response.setHeader('x-request-id', requestId);
  const faults: RuleOf<(typeof requestKinds)[number]>[] = [];
  let answer: Answer & { headers?: Readonly<Record<string, string>> };
  try {
    if (options.latencyMs > 0) await sleep(options.latencyMs);
    const route = understand(options, request, url, limit);
    const project = options.world.store.get(route.parameters['project_id'] ?? '');
    const occasion = {
      method: request.method,
      path: url.pathname.slice(PREFIX.length),
      operationId: route.operationId,
      projectId: route.parameters['project_id'],
      projectName: project?.name,
    };
    faults.push(...options.world.faults.take(occasion, requestKinds));
    const late = faults.filter((rule) => rule.kind === 'latency').reduce((sum, rule) => sum + rule.ms, 0);
    if (late > 0) await sleep(late);
    const body = await readBody(request);
    const made = answerWithFault(faults, response);
    if (made !== undefined) return made;
    const operationError = faults.find((rule) => rule.kind === 'operation-fails')?.error;
    answer = await dispatch(options.world, options.spec, {
      route,
      query: Object.fromEntries(url.searchParams),
      body,
      operationError,
    });
  } catch (error) {
    if (request.destroyed && !request.complete) return 0; // the client left before it had said what it wants
    answer = errorAnswer(options, error, requestId);
  }
  if (faults.some((rule) => rule.kind === 'lost-answer')) {
    response.socket?.resetAndDestroy();
    return 0;
  }
  send(response, answer.status, answer.body, answer.headers);
  return answer.status;
}

/** Who asks, whether they ask too often, and for what. @throws ApiError 401, 429, 404, 405 */
function understand(
  options: ApiServerOptions,
  request: http.IncomingMessage,
  url: URL,
  limit: RateLimit | undefined,
): Route {
  const authorization = header(request, 'authorization') ?? '';
  if (authorization !== `Bearer ${options.apiKey}`) {
    throw new ApiError(401, '', 'authentication required: send the API key as a bearer token');
  }
  const wait = limit?.take(Date.now()) ?? 0;
  if (wait > 0) throw new ApiError(429, 'RATE_LIMITED', 'rate limit exceeded', { 'retry-after': String(wait) });
  if (!url.pathname.startsWith(`${PREFIX}/`)) throw new ApiError(404, '', `there is nothing at ${url.pathname}`);
  const route = options.spec.route((request.method ?? 'GET').toLowerCase(), url.pathname.slice(PREFIX.length));
  if (route === 'no-such-path') throw new ApiError(404, '', `the API has no path ${url.pathname}`);
  if (route === 'no-such-method') throw new ApiError(405, '', `the API has no ${request.method ?? ''} ${url.pathname}`);
  return route;
}

function errorAnswer(options: ApiServerOptions, error: unknown, requestId: string) {
  const known = error instanceof ApiError ? error : new ApiError(500, 'INTERNAL', String(error));
  if (known.status >= 500 && known.status !== 501) {
    options.log(`local-neon: BUG: ${known.message} (request ${requestId})`);
    if (error !== known && error instanceof Error) options.log(error.stack ?? '');
  }
  return {
    status: known.status,
    body: { request_id: requestId, code: known.code, message: known.message },
    headers: known.headers,
  };
}

async function serveAdmin(
  options: ApiServerOptions,
  request: http.IncomingMessage,
  response: http.ServerResponse,
  url: URL,
): Promise<void> {
  try {
    const { status, body } = await adminAnswer(options.world, request.method ?? 'GET', url, await readBody(request));
    send(response, status, body);
  } catch (error) {
    const status = error instanceof ApiError ? error.status : 400;
    send(response, status, { message: error instanceof Error ? error.message : String(error) });
  }
}

async function readBody(request: http.IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > LONGEST_BODY) throw new ApiError(413, '', 'the body is too long');
    chunks.push(chunk);
  }
  if (length === 0) return undefined;
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown;
  } catch {
    throw badRequest('the body is not JSON');
  }
}

function send(
  response: http.ServerResponse,
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  const text = body === undefined ? '' : JSON.stringify(body);
  const type = body === undefined ? {} : { 'content-type': 'application/json; charset=utf-8' };
  response.writeHead(status, { ...type, 'content-length': Buffer.byteLength(text), ...headers });
  response.end(text);
}

function header(request: http.IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value[0] : value;
}
