import { describe, expect, test } from '@jest/globals';

import { NeonApiError } from '@neon-fleet/shared/neon';

import { explainRefusal, preflight } from '../../src/preflight.js';

function account(method: 'organisation' | 'personal') {
  let asked = 0;
  return {
    asked: () => asked,
    keyDetails: () => {
      asked += 1;
      return Promise.resolve({ accountId: 'x', method });
    },
    regions: () => Promise.resolve(['aws-us-east-1', 'aws-eu-central-1']),
  };
}

function refused(status: number, message: string, operation = 'createProject') {
  return new NeonApiError(operation, { status, message, answerLost: false });
}

describe('before a creation', () => {
  test('is asked once what the key is, however many projects are created', async () => {
    const manage = account('organisation');
    const check = preflight(manage, undefined);
    await Promise.all([check('aws-us-east-1'), check(undefined), check('aws-eu-central-1')]);
    expect(manage.asked()).toBe(1);
  });

  test('a personal key without organisation is refused', async () => {
    await expect(preflight(account('personal'), undefined)(undefined)).rejects.toThrow(
      /personal API key.*nothing was created/,
    );
    await expect(preflight(account('personal'), 'org-a')(undefined)).resolves.toBeUndefined();
  });

  test('a region that Neon does not have is refused with those that it has', async () => {
    await expect(preflight(account('organisation'), undefined)('aws-moon-1')).rejects.toMatchObject({
      hint: 'It has aws-us-east-1, aws-eu-central-1.',
    });
  });
});

describe('a refused creation', () => {
  test.each([
    [422, 'projects limit exceeded', /no room for another project/],
    [402, 'quota of projects exceeded', /no room for another project/],
    [403, 'permission denied', /may not create projects/],
    [404, 'not found', /may not create projects/],
  ])('with %d, %s, is explained', (status, message, words) => {
    expect(explainRefusal(refused(status, message))).toMatchObject({ message: expect.stringMatching(words) });
  });

  test.each([
    refused(429, 'rate limit exceeded'),
    refused(503, 'quota service'),
    refused(400, 'bad name'),
    new Error('limit'),
  ])('for another cause stays what it is: %s', (thrown) => {
    expect(explainRefusal(thrown)).toBe(thrown);
  });
});
