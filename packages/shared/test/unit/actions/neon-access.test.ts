import { readFileSync } from 'node:fs';

import { afterEach, describe, expect, jest, test } from '@jest/globals';

import { openNeonFor, type Stop } from '../../../src/actions/index.js';
import { StoppedError } from '../../../src/fleet/index.js';
import { scriptedServer, type Answer, type ScriptedServer } from '../../support/scripted-server.js';

const servers: ScriptedServer[] = [];
afterEach(async () => {
  jest.restoreAllMocks();
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

async function scene(answer: (index: number) => Answer, neonApiRate: number, share?: number) {
  const server = await scriptedServer((_, index) => answer(index));
  servers.push(server);
  const controller = new AbortController();
  const masked: string[] = [];
  const stop: Stop = { signal: controller.signal, limit: () => undefined, dispose: () => undefined };
  const neon = openNeonFor(
    { neonApiKey: 'napi_key', neonOrgId: undefined, neonApiUrl: server.url, neonApiRate },
    { mask: (secret) => masked.push(secret), stop },
    share === undefined ? {} : { share },
  );
  return { neon, server, masked, stop: () => controller.abort(new StoppedError('cancelled')) };
}

const EMPTY: Answer = { body: { projects: [] } };

/** What is written to the log of the step. */
function log(): () => string[] {
  const written: string[] = [];
  jest.spyOn(process.stdout, 'write').mockImplementation((chunk) => {
    written.push(String(chunk));
    return true;
  });
  return () => written.join('').split('\n');
}

test('says which version of what asks, and masks the key before anything is sent', async () => {
  const { neon, server, masked } = await scene(() => EMPTY, 420);
  expect(masked).toStrictEqual(['napi_key']);
  await neon.listProjects();
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
  expect(server.asked[0]?.headers['user-agent']).toBe(`neon-fleet/${version}`);
});

describe('the rate', () => {
  test('of a job alone is the whole', async () => {
    const { neon, server } = await scene(() => EMPTY, 6_000);
    for (let count = 0; count < 3; count += 1) await neon.listProjects();
    expect(server.asked).toHaveLength(3);
  });

  test.each([
    // One a minute for each of them, and less than one.
    [120, 120],
    [120, 256],
  ])('of %d is divided by %d jobs that run at the same time', async (rate, share) => {
    const { neon, server, stop } = await scene(() => EMPTY, rate, share);
    await neon.listProjects();
    const second = neon.listProjects();
    // Anything that was let out would be there before this one.
    await fetch(`${server.url}/probe`);
    expect(server.asked.map(({ path }) => path)).toStrictEqual(['/projects', '/probe']);
    stop();
    await expect(second).rejects.toBeInstanceOf(StoppedError);
    expect(server.asked).toHaveLength(2);
  });
});

test('every retry has a line in the log, and throttling one warning', async () => {
  const lines = log();
  const { neon, server } = await scene((index) => (index < 3 ? { status: index === 1 ? 503 : 429 } : EMPTY), 100_000);
  await neon.listProjects();
  jest.restoreAllMocks();
  const retries = lines().filter((line) => line.startsWith('Neon API, listProjects: HTTP '));
  expect(retries.map((line) => line.replace(/\(request [^)]*\)|[\d.]+ s/g, '…'))).toStrictEqual([
    'Neon API, listProjects: HTTP 429 …; trying again in … (1)',
    'Neon API, listProjects: HTTP 503 …; trying again in … (2)',
    'Neon API, listProjects: HTTP 429 …; trying again in … (3)',
  ]);
  for (const [index, line] of retries.entries()) {
    expect(line).toContain(String(server.asked[index]?.headers['x-request-id']));
  }
  expect(lines().filter((line) => line.startsWith('::warning'))).toStrictEqual([
    expect.stringContaining('refused a request'),
  ]);
});
