import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import {
  backupTimestamp,
  coverageKey,
  instantOf,
  manifestKey,
  normalisePrefix,
  OBJECT_SUFFIXES,
  objectKey,
  parseKey,
  verificationKey,
} from '../../../src/backups/index.js';

describe('keys of backups', () => {
  test('have the project, the database and a UTC timestamp', () => {
    const timestamp = backupTimestamp(new Date('2026-11-24T11:45:00.123Z'), () => 42);
    const key = objectKey('fleet/', { projectId: 'misty-river-1', database: 'neondb', timestamp });
    expect(key).toBe('fleet/misty-river-1/neondb/20261124T114500123000042Z.sql.gz');
    expect(manifestKey(key)).toBe('fleet/misty-river-1/neondb/20261124T114500123000042Z.manifest.json');
  });

  test('sort as their instants do', () => {
    const instant = fc.date({ min: new Date('2000-01-01'), max: new Date('2100-01-01'), noInvalidDate: true });
    fc.assert(
      fc.property(instant, instant, (a, b) => {
        if (a.getTime() < b.getTime()) expect(backupTimestamp(a) < backupTimestamp(b)).toBe(true);
        expect(instantOf(backupTimestamp(a))).toEqual(a);
      }),
    );
  });

  test('are read back as they were written, whatever the database is called', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1, unit: 'grapheme' }), (database) => {
        const id = { projectId: 'p-1', database, timestamp: backupTimestamp(new Date()) };
        const key = objectKey('', id);
        expect(key).toMatch(/^p-1\/[A-Za-z0-9_.%-]+\/\d{8}T\d{15}Z\.sql\.gz$/);
        expect(parseKey('', key)).toEqual({ ...id, kind: 'object', objectKey: key });
        expect(parseKey('', manifestKey(key))).toEqual({ ...id, kind: 'manifest', objectKey: key });
      }),
    );
  });

  test.each(OBJECT_SUFFIXES)('lead from what lies beside a dump to the dump itself, for %s', (suffix) => {
    const id = { projectId: 'p-1', database: 'neondb', timestamp: backupTimestamp(new Date()) };
    const key = objectKey('', id, suffix);
    expect(parseKey('', key)).toEqual({ ...id, kind: 'object', objectKey: key });
    expect(parseKey('', manifestKey(key))).toEqual({ ...id, kind: 'manifest', objectKey: key });
    expect(parseKey('', verificationKey(key))).toEqual({ ...id, kind: 'verification', objectKey: key });
    expect(parseKey('', coverageKey(key))).toEqual({ ...id, kind: 'coverage', objectKey: key });
  });

  test('of databases called . or .. do not climb', () => {
    expect(objectKey('', { projectId: 'p', database: '..', timestamp: 'T' })).toBe('p/%2E%2E/T.sql.gz');
  });

  test.each([
    'fleet/p/neondb/20261124T114500123Z.sql.gz',
    'fleet/p/neondb/20260231T114500123000000Z.sql.gz',
    'fleet/p/neondb/20261124T114500123000000Z.sql.bz2',
    'fleet/p/neondb/20261124T114500123000000Z.sql.gz.manifest.json',
    'fleet/p/neondb/20261124T114500123000000Z.txt.manifest.json',
    'fleet/p/neondb/20261124T114500123000000Z.manifest.json.manifest.json',
    'fleet/p/neondb/more/20261124T114500123000000Z.sql.gz',
    'fleet/neondb/20261124T114500123000000Z.sql.gz',
    'fleet/p/ü/20261124T114500123000000Z.sql.gz',
    'other/p/neondb/20261124T114500123000000Z.sql.gz',
  ])('leave %s to whom it belongs', (key) => {
    expect(parseKey('fleet/', key)).toBeUndefined();
  });

  test.each([
    [undefined, ''],
    ['/', ''],
    ['a/b', 'a/b/'],
    ['/a/b//', 'a/b/'],
  ])('take the prefix %j as %j', (given, prefix) => {
    expect(normalisePrefix(given)).toBe(prefix);
  });
});
