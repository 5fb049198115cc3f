import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { chooseClient, knowsRestrict, openClientFinder, parseClientVersion } from '../../src/postgres/index.js';
import { installClient } from '../../src/postgres/client-install.js';

describe('a client version', () => {
  test.each([
    ['pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)', { major: 15, minor: 18 }],
    ['pg_dump (PostgreSQL) 18beta1', { major: 18, minor: 0 }],
    ['17.5', { major: 17, minor: 5 }],
    ['pg_dump: command not found', undefined],
  ])('is read from %j', (text, version) => {
    expect(parseClientVersion(text)).toEqual(version);
  });

  test.each([
    [15, '15.18'],
    [16, '17.2'],
    [14, '14.9'],
    [18, undefined],
  ])('for a server of major %i is its own or the nearest newer: %s', (server, expected) => {
    const clients = ['17.2', '14.9', '15.4', '15.18', '13.1'].map((text) => ({ text, ...parseClientVersion(text) }));
    const known = clients.flatMap(({ text, major, minor }) =>
      major === undefined || minor === undefined ? [] : [{ text, major, minor }],
    );
    expect(chooseClient(known, server)?.text).toBe(expected);
  });

  test.each([
    ['15.13', false],
    ['15.14', true],
    ['17.5', false],
    ['17.6', true],
    ['18.0', true],
    ['12.22', false],
  ])('%s knows \\restrict: %s', (text, knows) => {
    expect(knowsRestrict(parseClientVersion(text) ?? { major: 0, minor: 0 })).toBe(knows);
  });
});

describe('openClientFinder', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'client-programs-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  async function program(major: number): Promise<void> {
    for (const name of ['pg_dump', 'psql']) {
      const file = path.join(folder, name);
      await writeFile(file, `#!/bin/sh\necho >> ${folder}/asked\necho "${name} (PostgreSQL) ${major}.3"\n`);
      await chmod(file, 0o755);
    }
  }

  test('searches the machine once, for all tenants', async () => {
    await program(17);
    let searches = 0;
    const finder = openClientFinder({
      env: process.env,
      folders: () => {
        searches += 1;
        return Promise.resolve([folder]);
      },
    });
    const found = await Promise.all([15, 16, 17].map((major) => finder.forServer(major)));
    expect(found.map(({ major }) => major)).toEqual([17, 17, 17]);
    expect(searches).toBe(1);
  });

  test('installs what is missing once, and finds it then', async () => {
    const installed: number[] = [];
    const finder = openClientFinder({
      env: process.env,
      folders: () => Promise.resolve([folder]),
      install: async (major) => {
        installed.push(major);
        await program(major);
      },
    });
    const found = await Promise.all([finder.forServer(16), finder.forServer(16)]);
    expect(found.map(({ pgDump }) => pgDump)).toEqual([path.join(folder, 'pg_dump'), path.join(folder, 'pg_dump')]);
    expect(installed).toEqual([16]);
  });
});

describe('installClient', () => {
  function recording(fails: (command: string) => boolean) {
    const commands: string[] = [];
    const environments: Readonly<Record<string, string>>[] = [];
    const run = ({
      file,
      args,
      env,
    }: {
      file: string;
      args: readonly string[];
      env: Readonly<Record<string, string>>;
    }) => {
      const command = [file, ...args].join(' ');
      commands.push(command);
      environments.push(env);
      return Promise.resolve(
        fails(command) ? { code: 100, stderr: 'E: Unable to locate package' } : { code: 0, stderr: '' },
      );
    };
    return { commands, environments, run };
  }
  const env = { PATH: '/usr/bin', HOME: '/root', NEON_API_KEY: 'napi_secret', https_proxy: 'http://proxy' };
  const options = { major: 17, env, onNote: () => undefined };

  test('takes what the distribution has', async () => {
    const { commands, environments, run } = recording(() => false);
    await installClient({ ...options, isRoot: true, run });
    expect(commands).toEqual(['apt-get update', 'apt-get install -y --no-install-recommends postgresql-client-17']);
    expect(environments[0]).toEqual({
      PATH: '/usr/bin',
      HOME: '/root',
      https_proxy: 'http://proxy',
      DEBIAN_FRONTEND: 'noninteractive',
    });
  });

  test("adds PostgreSQL's own repository when the distribution lacks it, with sudo that asks nothing", async () => {
    let tries = 0;
    const { commands, run } = recording((command) => command.endsWith('postgresql-client-17') && (tries += 1) === 1);
    await installClient({ ...options, isRoot: false, run });
    expect(commands.every((command) => command.startsWith('sudo -n env DEBIAN_FRONTEND=noninteractive '))).toBe(true);
    expect(commands.some((command) => command.endsWith('apt.postgresql.org.sh -y'))).toBe(true);
    expect(commands.at(-1)).toMatch(/postgresql-client-17$/);
  });

  test('gives the exact command when it cannot', async () => {
    const { run } = recording(() => true);
    await expect(installClient({ ...options, isRoot: true, run })).rejects.toMatchObject({
      hint: expect.stringContaining('sudo apt-get install -y postgresql-client-17'),
    });
  });

  test('gives the exact command where there is no apt', async () => {
    const run = () => Promise.reject(new Error('there is no such program'));
    await expect(installClient({ ...options, isRoot: true, run })).rejects.toMatchObject({
      message: expect.stringContaining('could not be installed'),
    });
  });
});
