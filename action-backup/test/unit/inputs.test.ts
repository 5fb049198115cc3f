import { describe, expect, test } from '@jest/globals';
import { InputError } from '@neon-fleet/shared/actions';

import { readBackupInputs } from '../../src/inputs.js';

function reading(inputs: Record<string, string>) {
  return () => readBackupInputs((name) => inputs[name] ?? '');
}

function problemsOf(read: () => unknown): string[] {
  try {
    read();
  } catch (thrown) {
    if (thrown instanceof InputError) return thrown.problems.map(({ input }) => input).toSorted();
    throw thrown;
  }
  return [];
}

const RUN = { 'neon-api-key': 'napi_0123456789', tenants: '*', 's3-bucket': 'backups' };
const RESTORE = {
  command: 'restore',
  's3-bucket': 'backups',
  backup: 'latest',
  tenant: 'acme',
  'target-url': 'postgresql://u:p@h/d',
};

describe('inputs of backup', () => {
  test('run needs Neon, tenants and a bucket, and nothing else', () => {
    expect(reading(RUN)()).toMatchObject({
      command: 'run',
      compressionLevel: 1,
      concurrency: 4,
      s3ForcePathStyle: false,
    });
    expect(problemsOf(reading({}))).toEqual(['neon-api-key', 's3-bucket', 'tenants']);
  });

  test('restore needs S3 and a target, and no Neon key', () => {
    expect(reading(RESTORE)()).toMatchObject({ command: 'restore', backup: 'latest', allowNonEmpty: false });
    expect(problemsOf(reading({ command: 'restore' }))).toEqual(['backup', 's3-bucket', 'target-url']);
    expect(problemsOf(reading({ ...RESTORE, tenant: '' }))).toEqual(['tenant']);
  });

  test.each([
    '0d',
    'forever',
    '-1d',
    '7 days',
    '7D',
    '0',
    'last=0',
    '12m',
    '7d/7d',
    '7d/',
    '/',
    '7d/4',
    '4w/last=',
    '07d',
  ])('refuses the retention %j', (retention) => {
    expect(problemsOf(reading({ ...RUN, retention }))).toEqual(['retention']);
  });

  test.each([
    ['7d', { keepMs: 7 * 86_400_000 }],
    ['36h', { keepMs: 36 * 3_600_000 }],
    ['10', { last: 10 }],
    ['last=10', { last: 10 }],
    ['24h/7d/8w/12m/5y', { hourly: 24, daily: 7, weekly: 8, monthly: 12, yearly: 5 }],
    ['last=3/12m', { last: 3, monthly: 12 }],
  ])('reads the retention %j', (retention, policy) => {
    expect(reading({ ...RUN, retention })()).toMatchObject({ retention: policy });
  });

  test('prune needs tenants and a policy, list only a bucket', () => {
    expect(problemsOf(reading({ command: 'prune' }))).toEqual(['retention', 's3-bucket', 'tenants']);
    expect(problemsOf(reading({ command: 'list' }))).toEqual(['s3-bucket']);
    expect(reading({ command: 'list', 's3-bucket': 'backups', 'max-age': '26h' })()).toMatchObject({
      maxAge: 26 * 3_600_000,
    });
  });

  test.each(['a//b', '../a', 'a/./b', 'a b', 'ü'])('refuses the prefix %j', (prefix) => {
    expect(problemsOf(reading({ ...RUN, 's3-prefix': prefix }))).toEqual(['s3-prefix']);
  });

  test('reports everything that is wrong at once, also what only this command needs', () => {
    const wrong = {
      command: 'restore',
      's3-endpoint': 'ftp://x',
      retention: 'x',
      'compression-level': '12',
      backup: 'latest',
    };
    expect(problemsOf(reading(wrong))).toEqual(
      ['compression-level', 'retention', 's3-bucket', 's3-endpoint', 'target-url', 'tenant'].toSorted(),
    );
  });

  test('restore takes a moment with its offset in place of a backup, and a new project in place of a target', () => {
    const fresh = {
      command: 'restore',
      's3-bucket': 'backups',
      tenant: 'acme',
      at: '2026-11-24T11:45:00+01:00',
      target: 'new-project',
    };
    expect(problemsOf(reading(fresh))).toEqual(['neon-api-key']);
    expect(reading({ ...fresh, 'neon-api-key': 'napi_0123456789' })()).toMatchObject({
      at: new Date('2026-11-24T10:45:00.000Z'),
      maxGap: 3_600_000,
    });
    expect(problemsOf(reading({ ...RESTORE, at: '2026-11-24T11:45:00Z' }))).toEqual(['backup']);
    for (const at of ['2026-11-24T11:45:00', '2026-11-24', 'yesterday', '2026-13-24T11:45:00Z']) {
      expect(problemsOf(reading({ ...fresh, 'neon-api-key': 'napi_0123456789', at }))).toEqual(['at']);
    }
  });

  test('never repeats the target', () => {
    const read = reading({ ...RESTORE, 'target-url': 'mysql://u:hunter2@h/d' });
    expect(problemsOf(read)).toEqual(['target-url']);
    expect(read).toThrow(expect.not.stringContaining('hunter2'));
    expect(read).toThrow('accepted: postgresql://user:…@host/database');
  });
});
