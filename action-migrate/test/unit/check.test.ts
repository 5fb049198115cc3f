import { describe, expect, test } from '@jest/globals';

import { checkProblems, refuseCredentials, renderChecks, secretInputProblems } from '../../src/check/index.js';
import { inputs } from '../../src/inputs.js';

describe('check and credentials', () => {
  test.each([
    'NEON_API_KEY',
    'AWS_SECRET_ACCESS_KEY',
    'AWS_SESSION_TOKEN',
    'AWS_WEB_IDENTITY_TOKEN_FILE',
    'ACTIONS_ID_TOKEN_REQUEST_TOKEN',
  ])('it refuses to run where there is %s, and does not say what is in it', (name) => {
    expect(() => refuseCredentials({ [name]: 'the-secret' })).toThrow(new RegExp(`${name}; nothing was run`));
    expect(() => refuseCredentials({ [name]: 'the-secret' })).not.toThrow(/the-secret/);
  });

  test('it runs without, and where they are empty', () => {
    expect(() => refuseCredentials({ PATH: '/bin', NEON_API_KEY: '', AWS_REGION: 'eu-central-1' })).not.toThrow();
  });

  test.each(['neon-api-key', 'scratch-url', 'github-token'])(
    'the secret %s as an input is an error of the input',
    (input) => {
      const problems = secretInputProblems(inputs, (name) => (name === input ? 'napi_0123456789' : ''));
      expect(problems).toMatchObject([{ input, accepted: expect.stringContaining('nothing') }]);
      expect(JSON.stringify(problems)).not.toContain('napi_');
      expect(secretInputProblems(inputs, () => '')).toEqual([]);
    },
  );
});

describe('the words of check', () => {
  const base = { config: 'drizzle.config.ts', folder: 'drizzle' };

  test('nothing is wrong when nothing is', () => {
    const checks = [{ ...base, schema: { kind: 'in-step' } as const }];
    expect(checkProblems(checks)).toEqual([]);
    expect(renderChecks(checks)).toContain('✅');
  });

  test('each problem is named, with what drizzle-kit wrote', () => {
    const checks = [
      { ...base, objection: 'collisions', schema: { kind: 'ahead', files: [{ name: 'x.sql', sql: 'ALTER TABLE a' }] } },
      { ...base, config: 'b.ts', schema: { kind: 'ahead-and-unclear', output: 'renamed?' } },
      { ...base, config: 'c.ts', schema: { kind: 'unknown', output: 'crashed' } },
    ] as const;
    expect(checkProblems(checks).map((problem) => problem.split(';')[0])).toEqual([
      'drizzle.config.ts: drizzle-kit check objects to drizzle',
      'drizzle.config.ts: the schema is ahead of the migrations',
      'b.ts: the schema is ahead of the migrations, and drizzle-kit asks whether something was renamed',
      'c.ts: whether the schema is ahead of the migrations could not be found out',
    ]);
    for (const text of ['❌', 'collisions', 'ALTER TABLE a', 'renamed?', 'crashed']) {
      expect(renderChecks(checks)).toContain(text);
    }
  });

  test('what drizzle-kit wrote cannot leave its place', () => {
    const schema = { kind: 'unknown', output: '```\n# out' } as const;
    expect(renderChecks([{ ...base, config: '<b>', schema }])).toContain('````\n```\n# out\n````');
    expect(renderChecks([{ ...base, config: '<b>', schema }])).not.toContain('<b>');
  });
});
