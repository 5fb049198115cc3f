import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startLocalNeon, type LocalNeon } from '@neon-fleet/local-neon';
import type { Manifest } from '@neon-fleet/shared/backups';
import { tenantOf, workThroughTenants, type Tenant } from '@neon-fleet/shared/fleet';
import { openNeon, type Neon } from '@neon-fleet/shared/neon';
import {
  connect,
  openClientFinder,
  parseConnectionUri,
  prepareLibpqTrust,
  trustedAuthorities,
  type ClientFinder,
  type LibpqTrust,
} from '@neon-fleet/shared/postgres';

import { backUpTenant } from '../../src/tenant/back-up-tenant.js';
import { startScratchServer, type ScratchServer } from '../../src/verify/scratch-server.js';
import { verifyRestore } from '../../src/verify/verify.js';
import { BackupFleet } from '../support/backup-fleet.js';
import { ClientFolder } from '../support/client-folder.js';
import { olderPostgres } from '../support/older-postgres.js';

let fleet: BackupFleet;
let older: LocalNeon | string;
let server: ScratchServer;
let trust: LibpqTrust;
let authorities: readonly string[] | undefined;
let folder: string;
const { signal } = new AbortController();

beforeAll(async () => {
  fleet = await BackupFleet.start();
  folder = await mkdtemp(path.join(tmpdir(), 'neon-fleet-majors-'));
  const programs = await olderPostgres();
  older =
    typeof programs === 'string' ? programs : await startLocalNeon({ postgresBinDir: programs.binDir, s3: false });
  if (typeof older === 'string') {
    console.warn(`The tests with two major versions are left out: PostgreSQL 14 is not here, and ${older}`);
    return;
  }
  // Each stand-in has an authority of its own; Neon has one for all.
  const bundle = path.join(folder, 'authorities.pem');
  await writeFile(bundle, (await readFile(fleet.local.caFile, 'utf8')) + (await readFile(older.caFile, 'utf8')));
  const env = { ...process.env, PGSSLROOTCERT: bundle };
  trust = await prepareLibpqTrust(env);
  authorities = await trustedAuthorities(env);
  server = await startScratchServer({ major: 14, env: process.env, signal, onNote: () => undefined });
}, 600_000);
afterAll(async () => {
  if (typeof older !== 'string') {
    await server.stop();
    await trust.dispose();
    await older.stop();
  }
  await rm(folder, { recursive: true, force: true });
  await fleet[Symbol.asyncDispose]();
});

/** Two accounts that look like one: which of them a project is in is known by its id. */
function both(first: Neon, second: Neon, ofSecond: ReadonlySet<string>): Neon {
  return {
    ...first,
    connectionUri: (request) => (ofSecond.has(request.projectId) ? second : first).connectionUri(request),
  };
}

async function fill(neon: Neon, { projectId }: Tenant, rows: number): Promise<void> {
  const uri = await neon.connectionUri({ projectId, database: 'neondb', role: 'neondb_owner' });
  const connection = await connect(parseConnectionUri(uri), { authorities });
  await connection.query(
    `CREATE TABLE notes (id int GENERATED ALWAYS AS IDENTITY, body text, big text GENERATED ALWAYS AS (upper(body)) STORED);
     INSERT INTO notes (body) SELECT 'note ' || n FROM generate_series(1, ${rows}) n`,
  );
  await connection.close();
}

/** Backs up a tenant on each of two servers of different majors, in one run. @returns the manifests by name */
async function backUpBoth(
  clients: ClientFinder,
  prefix: string,
): Promise<{ manifests: Map<string, Manifest>; notes: string[] }> {
  if (typeof older === 'string') throw new Error(older);
  const [oldId = ''] = await older.seedProjects([`${prefix} old`]);
  const old = tenantOf({ projectId: oldId, name: `${prefix} old`, regionId: '', pgVersion: 14, createdAt: '' });
  const young = await fleet.tenant(`${prefix} young`);
  const neon = both(
    fleet.neon,
    openNeon({ apiKey: older.apiKey, apiUrl: older.apiUrl, userAgent: 'test' }),
    new Set([oldId]),
  );
  await fill(neon, old, 140);
  await fill(neon, young, 150);
  const manifests = new Map<string, Manifest>();
  const notes: string[] = [];
  const surroundings = {
    ...fleet.surroundings(),
    neon,
    trust,
    authorities,
    clients,
    onBackup: (manifest: Manifest) => void manifests.set(manifest.name, manifest),
  };
  const outcomes = await workThroughTenants({
    tenants: [old, young],
    concurrency: 2,
    signal,
    work: (tenant, work) =>
      backUpTenant(surroundings, tenant, { ...work, note: (line) => void notes.push(`${tenant.name}: ${line}`) }),
  });
  expect(outcomes.map(({ status, detail }) => [status, status === 'succeeded' ? '' : detail])).toEqual([
    ['succeeded', ''],
    ['succeeded', ''],
  ]);
  return { manifests, notes };
}

async function proveBoth(manifests: ReadonlyMap<string, Manifest>, clients: ClientFinder): Promise<string[]> {
  const surroundings = { store: fleet.store, clients, env: process.env, server: () => Promise.resolve(server), signal };
  const proofs: string[] = [];
  for (const manifest of manifests.values()) proofs.push((await verifyRestore(surroundings, manifest)).detail);
  return proofs;
}

describe('a fleet with two major versions of PostgreSQL', () => {
  test('is backed up in one run with the nearest newer programs where its own are not here', async () => {
    if (typeof older === 'string') return;
    const clients = openClientFinder({ env: process.env });
    const nearest = await clients.forServer(14);
    if (nearest.major === 14) return; // A machine that has both: the next test is about it.
    const { manifests, notes } = await backUpBoth(clients, 'nearest');
    expect(manifests.get('nearest old')?.postgres.server).toMatch(/^14\./);
    expect(Number.parseInt(manifests.get('nearest old')?.postgres.pgDump ?? '', 10)).toBe(nearest.major);
    expect(notes.join('\n')).toMatch(/nearest old: The server is PostgreSQL 14\.\d+.*is the nearest that is here/);
    expect(notes.join('\n')).not.toMatch(/nearest young: The server/);
    const proofs = await proveBoth(manifests, clients);
    expect(proofs).toEqual([
      expect.stringMatching(/140 rows of 1 tables, 1 sequences|150 rows of 1 tables, 1 sequences/),
      expect.stringMatching(/140 rows of 1 tables, 1 sequences|150 rows of 1 tables, 1 sequences/),
    ]);
  });

  test('takes for each server the programs of its own major, and searches the machine once', async () => {
    if (typeof older === 'string') return;
    const machine = openClientFinder({ env: process.env });
    const real = await machine.forServer(14);
    // No distribution has the client programs of two majors, and PGDG is not everywhere: a script that says that it is 14
    // stands for them, and the real pg_dump does its work, which reads servers of 14 as well.
    await using fake = await ClientFolder.make('14.23', real);
    let searches = 0;
    const clients = openClientFinder({
      env: process.env,
      folders: () => {
        searches += 1;
        return Promise.resolve([fake.folder, path.dirname(real.pgDump)]);
      },
    });
    const { manifests, notes } = await backUpBoth(clients, 'own');
    expect(manifests.get('own old')?.postgres).toMatchObject({
      server: expect.stringMatching(/^14\./),
      pgDump: '14.23',
    });
    expect(manifests.get('own young')?.postgres.pgDump).toBe(`${real.major}.${real.minor}`);
    expect(notes.join('\n')).not.toMatch(/is the nearest that is here/);
    expect(searches).toBe(1);
    expect(await proveBoth(manifests, machine)).toHaveLength(2);
  });
});
