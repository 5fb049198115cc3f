import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { planParts, readObject, S3Error } from '../../src/s3/index.js';
import { isHopeless, s3Error } from '../../src/s3/errors.js';

const MIB = 1024 * 1024;

describe('planParts', () => {
  test('lets a dump of twice the size of the database fit, within what S3 takes and little memory', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 20 * 1024 ** 4 }), (size) => {
        const { partSizeBytes, partsInFlight } = planParts(size);
        expect(partSizeBytes * 10_000).toBeGreaterThanOrEqual(size * 2);
        expect(partSizeBytes).toBeGreaterThanOrEqual(5 * MIB);
        expect(partSizeBytes).toBeLessThanOrEqual(5 * 1024 * MIB);
        expect(partsInFlight === 1 || partsInFlight * partSizeBytes <= 64 * MIB).toBe(true);
      }),
    );
  });
});

describe('readObject', () => {
  test('gives an object in ranges, one ahead', async () => {
    const body = Buffer.from('0123456789abc');
    const asked: number[] = [];
    const store = {
      getRange: (_key: string, { first, last }: { first: number; last: number }) => {
        asked.push(first);
        return Promise.resolve(body.subarray(first, last + 1));
      },
    };
    const chunks: string[] = [];
    const object = { key: 'k', sizeBytes: body.length };
    for await (const chunk of readObject(store, object, new AbortController().signal, 5)) chunks.push(chunk.toString());
    expect(chunks).toEqual(['01234', '56789', 'abc']);
    expect(asked).toEqual([0, 5, 10]);
  });
});

describe('an error of S3', () => {
  const thrown = (name: string, status: number | undefined, message: string) =>
    Object.assign(new Error(message), { name, $metadata: { httpStatusCode: status } });

  test('says what to do, and nothing that is secret', () => {
    const key = ['AKIA', 'ABCDEFGHIJKLMNOP'].join('');
    const error = s3Error(thrown('AccessDenied', 403, `User ${key} is not authorized`), 'writing s3://b/k');
    expect(error).toMatchObject({ code: 'AccessDenied, HTTP 403', hint: expect.stringContaining('s3:PutObject') });
    expect(error.message).not.toContain(key);
  });

  test.each([
    ['NoSuchBucket', 404, true],
    ['ExpiredToken', 400, true],
    ['PermanentRedirect', 301, true],
    ['CredentialsProviderError', undefined, true],
    ['AccessDenied', 403, false],
    ['SlowDown', 503, false],
  ])('%s (%s) makes a run hopeless: %s', (name, status, hopeless) => {
    const error = s3Error(thrown(name, status, name), 'listing');
    expect(error).toBeInstanceOf(S3Error);
    expect(isHopeless(error)).toBe(hopeless);
  });
});
