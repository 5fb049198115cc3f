import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { createApiClient, type Api } from '@neondatabase/api-client';
import pg from 'pg';
import { startLocalNeon, type LocalNeon, type LocalNeonOptions } from '../../src/index.js';

/** A stand-in together with what it had to say. */
export interface Started {
  readonly neon: LocalNeon;
  readonly api: Api<unknown>;
  readonly lines: readonly string[];
}

export async function started(options: LocalNeonOptions = {}): Promise<Started> {
  const lines: string[] = [];
  const neon = await startLocalNeon({ s3: false, operationMs: 20, ...options, log: (line) => lines.push(line) });
  return { neon, api: clientOf(neon), lines };
}

export const clientOf = (neon: LocalNeon, apiKey = neon.apiKey) =>
  createApiClient({ apiKey, baseURL: neon.apiUrl, timeout: 10_000 });

/** Creates a project and waits until its operations have ended. */
export async function createProject(api: Api<unknown>, name = 'acme') {
  const { data } = await api.createProject({ project: { name } });
  await settled(api, data.project.id);
  const uri = data.connection_uris[0]?.connection_uri ?? '';
  return { id: data.project.id, branchId: data.branch.id, endpointId: data.endpoints[0]?.id ?? '', uri, created: data };
}

/** Waits until a project has no unfinished operation. */
export async function settled(api: Api<unknown>, projectId: string): Promise<void> {
  for (;;) {
    const { data } = await api.listProjectOperations({ projectId });
    if (data.operations.every(({ status }) => ['finished', 'failed'].includes(status))) return;
    await sleep(5);
  }
}

/** Status and body of the answer that a call failed with; status 0 when there was no answer. */
export async function failureOf(
  call: Promise<unknown>,
): Promise<{ status: number; code?: string; message?: string; headers: Record<string, string> }> {
  try {
    await call;
  } catch (error) {
    const { response } = error as { response?: { status: number; data: object; headers: Record<string, string> } };
    return { ...(response?.data ?? {}), status: response?.status ?? 0, headers: response?.headers ?? {} };
  }
  throw new Error('the call succeeded');
}

/** Settings of node-postgres for a URI of the stand-in: verified certificate, channel binding. */
export function settingsFor(neon: LocalNeon, uri: string): pg.ClientConfig {
  const url = new URL(uri);
  return {
    host: url.hostname,
    port: Number(url.port),
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
    database: decodeURIComponent(url.pathname.slice(1)),
    ssl: { ca: readFileSync(neon.caFile, 'utf8') },
    enableChannelBinding: true,
  };
}

/** Runs statements over one connection and returns the rows of the last. */
export async function query(neon: LocalNeon, uri: string, ...statements: string[]): Promise<Record<string, unknown>[]> {
  const client = new pg.Client(settingsFor(neon, uri));
  client.on('error', () => undefined);
  await client.connect();
  try {
    let rows: Record<string, unknown>[] = [];
    for (const statement of statements) rows = (await client.query<Record<string, unknown>>(statement)).rows;
    return rows;
  } finally {
    await client.end();
  }
}

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a client program, verifying the certificate and demanding channel binding. */
export function run(neon: LocalNeon, program: string, uri: string, ...args: string[]): Promise<Ran> {
  const strict = uri.replace('sslmode=require', 'sslmode=verify-full');
  const env = { PATH: process.env['PATH'] ?? '', PGSSLROOTCERT: neon.caFile, PGCONNECT_TIMEOUT: '10' };
  return new Promise((resolve) => {
    execFile(
      program,
      [...args, strict],
      { env, timeout: 30_000, maxBuffer: 64 * 1024 * 1024 },
      (error, stdout, stderr) => {
        resolve({ code: typeof error?.code === 'number' ? error.code : error ? 1 : 0, stdout, stderr });
      },
    );
  });
}
