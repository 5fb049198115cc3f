import { createServer, connect as dial, type AddressInfo } from 'node:net';

import { startLocalNeon, type LocalNeon } from '@neon-fleet/local-neon';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import pg from 'pg';

import { DRIZZLE_TABLE, migrateDatabase, type Migration } from '../../src/drizzle/index.js';

let neon: LocalNeon;

beforeAll(async () => {
  neon = await startLocalNeon({ s3: false });
});
afterAll(async () => {
  await neon.stop();
});

const MIGRATIONS: readonly Migration[] = [
  { tag: '0000_init', when: 1_000, hash: 'a'.repeat(64), statements: ['CREATE TABLE made (id int)'] },
];

/** A way to the server that cuts the first connection that commits, either just before COMMIT or just after it. */
async function cutAtCommit(url: string, moment: 'before' | 'after') {
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
      // The server has answered, so it has committed; the client never hears of it.
      if (committing) cut();
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

async function migrateThrough(moment: 'before' | 'after') {
  const [projectId = ''] = await neon.seedProjects([moment]);
  const url = await neon.adminUrlFor(projectId);
  await using way = await cutAtCommit(url, moment);
  const result = await migrateDatabase(way.url, {
    migrations: MIGRATIONS,
    table: DRIZZLE_TABLE,
    lockWaitMs: 10_000,
    lockTimeoutMs: 5_000,
    statementTimeoutMs: 5_000,
    authorities: undefined,
    signal: new AbortController().signal,
    note: () => undefined,
  });
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const { rows } = await client.query<{ made: string | null }>(`SELECT to_regclass('public.made')::text AS made`);
  await client.end();
  return { result, made: rows[0]?.made ?? undefined };
}

describe('a connection that breaks during COMMIT', () => {
  test('after the server has committed counts as success, because the database says so', async () => {
    const { result, made } = await migrateThrough('after');
    expect(made).toBe('made');
    expect(result).toMatchObject({ status: 'succeeded', detail: expect.stringContaining('read back') as unknown });
  });

  test('before the server has committed counts as failure, and nothing is there', async () => {
    const { result, made } = await migrateThrough('before');
    expect(made).toBeUndefined();
    expect(result).toMatchObject({ status: 'failed' });
  });
});
