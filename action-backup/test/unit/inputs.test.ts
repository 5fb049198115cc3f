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
      compressionLevel: 6,
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

  test.each(['7', '0d', 'forever', '7d/4w', '-1d', '7 days', '7D'])('refuses the retention %j', (retention) => {
    expect(problemsOf(reading({ ...RUN, retention }))).toEqual(['retention']);
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

  test('never repeats the target', () => {
    const read = reading({ ...RESTORE, 'target-url': 'mysql://u:hunter2@h/d' });
    expect(problemsOf(read)).toEqual(['target-url']);
    expect(read).toThrow(expect.not.stringContaining('hunter2'));
    expect(read).toThrow('accepted: postgresql://user:…@host/database');
  });
});
