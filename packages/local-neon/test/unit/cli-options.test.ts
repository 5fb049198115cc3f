import { describe, expect, test } from '@jest/globals';
import { readCommand } from '../../src/cli-options.js';

describe('the command line', () => {
  test('becomes options', () => {
    const args = [
      '--port',
      '8080',
      '--projects=12',
      '--latency',
      '5',
      '--rate-limit',
      '700',
      '--json',
      '--no-s3',
      '--fault',
      '{"kind":"503"}',
    ];
    expect(readCommand(args)).toEqual({
      kind: 'run',
      json: true,
      options: {
        port: 8080,
        projects: 12,
        latencyMs: 5,
        rateLimitPerMinute: 700,
        s3: false,
        faults: [{ kind: '503' }],
      },
    });
  });

  test('takes faults from a file, too', () => {
    const file = JSON.stringify({ rules: [{ kind: 'latency', ms: 3 }] });
    expect(readCommand(['--faults', 'f.json'], () => file)).toMatchObject({
      options: { faults: [{ kind: 'latency', ms: 3 }] },
    });
  });

  test('is told everything that is wrong with it', () => {
    const missing = () => {
      throw new Error('ENOENT: no such file');
    };
    const args = [
      '--port',
      '70000',
      '--projects',
      '-1',
      '--nonsense',
      'stray',
      '--json=yes',
      '--faults',
      'gone.json',
      '--latency',
    ];
    const command = readCommand(args, missing);
    expect(command.kind).toBe('wrong');
    const text = command.kind === 'wrong' ? command.problems.join('\n') : '';
    for (const part of [
      '--port',
      '--projects',
      '--nonsense',
      '"stray"',
      '--json takes no value',
      'gone.json: ENOENT',
      '--latency needs a value',
    ]) {
      expect(text).toContain(part);
    }
  });

  test('asks for help', () => {
    expect(readCommand(['--help'])).toEqual({ kind: 'help' });
  });
});
