import { execFileSync } from 'node:child_process';
import path from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { TestFleet } from '../support/fleet.js';
import { GUIDE_TABLES, writeMigrations } from '../support/migrations.js';
import { hasPackagedNode24, node24 } from '../support/node24.js';

let fleet: TestFleet;

beforeAll(async () => {
  fleet = await TestFleet.start();
});
afterAll(async () => {
  await fleet[Symbol.asyncDispose]();
});

const runtimes = [
  ['the machine’s Node', () => Promise.resolve(process.execPath)],
  ...(hasPackagedNode24 ? [['Node 24', node24] as const] : []),
] as const;

describe.each(runtimes)('under %s', (title, findNode) => {
  test('the committed bundles provision, migrate, back up and restore', async () => {
    const node = await findNode();
    const version = execFileSync(node, ['--version'], { encoding: 'utf8' });
    if (title === 'Node 24') expect(version).toMatch(/^v24\./);

    const name = `runtime ${version.trim()}`;
    const folder = await writeMigrations(path.join(fleet.folder, version.trim()), { '0000_init': GUIDE_TABLES });
    const run = (action: 'provision' | 'migrate' | 'backup', inputs: Record<string, string>) =>
      fleet.run(action, inputs, { node });

    const provisioned = await run('provision', { name });
    const projectId = provisioned.outputs['project-id'] ?? '';
    const migrated = await run('migrate', { tenants: projectId, 'migrations-folder': folder });
    const backedUp = await run('backup', { tenants: projectId, ...fleet.s3Inputs });
    const target = await run('provision', { name: `${name} again` });
    const restored = await run('backup', {
      command: 'restore',
      tenant: projectId,
      backup: 'latest',
      'target-url': target.outputs['connection-uri'] ?? '',
      'neon-api-key': '',
      ...fleet.s3Inputs,
    });

    for (const { exitCode, log } of [provisioned, migrated, backedUp, target, restored]) {
      // The log is part of the comparison so that a failure shows it.
      expect({ exitCode, log }).toEqual({ exitCode: 0, log });
    }
    expect(await fleet.tables(target.outputs['project-id'] ?? '')).toEqual(await fleet.tables(projectId));
  });
});
