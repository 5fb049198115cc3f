import { describe, expect, test } from '@jest/globals';
import type { CatalogVersion } from '@neon-fleet/shared/catalog';
import type { TenantResult } from '@neon-fleet/shared/fleet';
import { DRIZZLE_TABLE, type Migration, type MigrationFolder } from '@neon-fleet/shared/drizzle';

import { foreseenByCatalog } from '../../src/look/believe-catalog.js';
import { proofOf, withProof } from '../../src/proof.js';

function migration(tag: string, hash = tag): Migration {
  return { tag, when: Number(tag.slice(0, 4)), hash, statements: [], noTransaction: false };
}

function folder(...migrations: readonly Migration[]): MigrationFolder {
  return { format: 'v0', migrations, digest: 'of all' };
}

const [A, B, C] = [migration('0000_a'), migration('0001_b'), migration('0002_c')];
const wanted = (target: string, ...migrations: readonly Migration[]) => ({
  folder: folder(...migrations),
  table: DRIZZLE_TABLE,
  target,
});
const TENANT = { database: 'neondb' };

/** What is recorded of a database in which somebody read all of these migrations. */
function recorded(migrations: readonly Migration[], more: Partial<CatalogVersion> = {}): CatalogVersion {
  const version = migrations.at(-1)?.tag ?? '';
  const proof = proofOf({ folder: folder(...migrations), table: DRIZZLE_TABLE }, version);
  if (proof === undefined) throw new Error('no proof');
  return { branch: '', database: 'neondb', version, ...proof, ...more };
}

describe('by the catalog a tenant', () => {
  test('is up to date when the same migrations were read in it', () => {
    expect(foreseenByCatalog(TENANT, [recorded([A, B])], wanted(B.tag, A, B))).toEqual({
      status: 'unchanged',
      reason: 'up-to-date',
      detail: 'at 0001_b, by the catalog',
      migration: { from: '0001_b', to: '0001_b', applied: [], pending: [] },
    });
  });

  test('is up to date when it is beyond what is wanted', () => {
    const result = foreseenByCatalog(TENANT, [recorded([A, B, C])], wanted(B.tag, A, B, C));
    expect(result?.detail).toBe('at 0002_c, which is beyond 0001_b; nothing is taken back, by the catalog');
  });

  test.each<[string, readonly CatalogVersion[], ReturnType<typeof wanted>]>([
    ['nothing is known', [], wanted(B.tag, A, B)],
    ['it lacks one', [recorded([A])], wanted(B.tag, A, B)],
    ['a file was edited since', [recorded([A, migration('0001_b', 'other')])], wanted(B.tag, A, B)],
    ['one was merged out of order since', [recorded([A, C])], wanted(C.tag, A, B, C)],
    ['the folder is older', [recorded([A, B, C])], wanted(B.tag, A, B)],
    ['it is about another branch', [recorded([A, B], { branch: 'dev' })], wanted(B.tag, A, B)],
    ['it is about another database', [recorded([A, B], { database: 'app' })], wanted(B.tag, A, B)],
    ['it is about another table', [recorded([A, B], { table: '"other"."table"' })], wanted(B.tag, A, B)],
  ])('has to be looked at when %s', (_, versions, schema) => {
    expect(foreseenByCatalog(TENANT, versions, schema)).toBeUndefined();
  });

  test('is at what was read on its own branch', () => {
    const versions = [recorded([A]), recorded([A, B], { branch: 'dev' })];
    expect(foreseenByCatalog({ ...TENANT, branch: 'dev' }, versions, wanted(B.tag, A, B))).toBeDefined();
    expect(foreseenByCatalog(TENANT, versions, wanted(B.tag, A, B))).toBeUndefined();
  });
});

describe('a proof', () => {
  const engine = { schemaOf: () => Promise.resolve(wanted(B.tag, A, B)) };
  const tenant = {
    key: 'k',
    projectId: 'p',
    name: 'n',
    database: 'neondb',
    role: 'r',
    assumed: { database: true, role: true },
    labels: {},
  };
  const migrationRecord = { to: B.tag, applied: [B.tag] };

  test('is added to what went well', async () => {
    const result = await withProof(engine, tenant, { status: 'succeeded', detail: '', migration: migrationRecord });
    expect(result.migration?.verified).toEqual(proofOf(wanted(B.tag, A, B), B.tag));
  });

  test.each([
    ['what failed', { status: 'failed', error: { message: 'x' } }],
    ['what was left out', { status: 'skipped', reason: 'drift' }],
  ] as const)('is never added to %s, whatever it says', async (_, result) => {
    const given = { ...result, detail: '', migration: migrationRecord };
    expect(await withProof(engine, tenant, given)).toEqual(given);
  });

  test('is none for a version that the folder does not have', async () => {
    const given: TenantResult = { status: 'succeeded', detail: '', migration: { to: 'unknown', applied: [] } };
    expect(await withProof(engine, tenant, given)).toEqual(given);
  });
});
