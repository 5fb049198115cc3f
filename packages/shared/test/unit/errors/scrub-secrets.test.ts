import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { scrubSecrets } from '../../../src/errors/index.js';

describe('a password in a URI', () => {
  test.each([
    ['postgresql://owner:s3cret@ep-x.neon.tech/neondb', 'postgresql://owner:***@ep-x.neon.tech/neondb'],
    ['POSTGRES://owner:s3cret@host', 'POSTGRES://owner:***@host'],
    ['two: postgres://a:s3cret@h/x and postgres://b:s3cret@h/y', 'two: postgres://a:***@h/x and postgres://b:***@h/y'],
    ['"postgres://a:s3cret@h/x"', '"postgres://a:***@h/x"'],
    ['postgres://:s3cret@h', 'postgres://:***@h'],
    ['https://me:s3cret@proxy:8080/path?a=b', 'https://me:***@proxy:8080/path?a=b'],
    // Not as a URI should be written, but as people write them.
    ['postgres://owner:s3@cret@h/x', 'postgres://owner:***@h/x'],
    ['postgres://owner:s3:cret@h/x', 'postgres://owner:***@h/x'],
    ['postgres://owner:s3:cr@et@h/x', 'postgres://owner:***@h/x'],
    ['postgres://owner:s3/cret@h/x', 'postgres://owner:***@h/x'],
    ['postgres://owner:s3?c#ret@h/x', 'postgres://owner:***@h/x'],
    ['postgres://own@er:s3cret@h/x', 'postgres://own@er:***@h/x'],
    ['postgres://owner:s3%40cret@h/x', 'postgres://owner:***@h/x'],
    ['postgres://owner@h/x?password=s3cret&sslmode=require', 'postgres://owner@h/x?password=***&sslmode=require'],
    ["host=h user=owner password='s3 cret' dbname=x", 'host=h user=owner password=*** dbname=x'],
    ['postgres://owner:…@x:s3cret@h/x', 'postgres://owner:***@h/x'],
    ['postgres://owner:…s3cret@h/x', 'postgres://owner:***@h/x'],
    ['PGPASSWORD=s3cret pg_dump', 'PGPASSWORD=*** pg_dump'],
  ])('%s', (text, scrubbed) => {
    expect(scrubSecrets(text)).toBe(scrubbed);
  });

  test('never survives, whatever it is made of', () => {
    const password = fc.string({ minLength: 1, maxLength: 20 }).map((text) => `S3${encodeURIComponent(text)}T`);
    fc.assert(
      fc.property(password, fc.constantFrom('', ' ', 'could not connect to '), (secret, before) => {
        expect(scrubSecrets(`${before}postgresql://owner:${secret}@host:5432/db failed`)).not.toContain(secret);
      }),
    );
  });

  test.each([
    'postgresql://ep-x.neon.tech:5432/neondb',
    'https://console.neon.tech/api/v2/projects?limit=400',
    'connecting to ep-x:5432/neondb as owner@example.com',
    'password authentication failed for user "owner"',
    'target-url: given nothing; accepted: postgresql://user:…@host/database',
    'it is not of the form postgresql://user:…@host/database; nothing was done',
  ])('is not seen where there is none: %s', (text) => {
    expect(scrubSecrets(text)).toBe(text);
  });
});

describe('other secrets', () => {
  test.each([
    ['key napi_abcdefgh12345678 refused', 'key napi_*** refused'],
    ['Authorization: Bearer abcdefgh.ijkl-mnop_~+/=', 'Authorization: Bearer ***'],
    ['authorization: basic dXNlcjpwYXNz', 'authorization: basic ***'],
  ])('%s', (text, scrubbed) => {
    expect(scrubSecrets(text)).toBe(scrubbed);
  });
});

test('no password stays before the host of a URI, however it is written', () => {
  // Without a colon, a slash or an @, so that it is clear where the password begins and ends.
  const password = fc.stringMatching(/^[A-Za-z0-9._~!$&()*+,;=%-]{6,30}$/);
  fc.assert(
    fc.property(password, fc.constantFrom('', 'error: ', 'at "'), (secret, before) => {
      expect(scrubSecrets(`${before}postgresql://owner:${secret}@ep-x.neon.tech/neondb`)).toBe(
        `${before}postgresql://owner:***@ep-x.neon.tech/neondb`,
      );
    }),
  );
});

test('a long text takes no time that grows out of hand', () => {
  const started = performance.now();
  scrubSecrets('postgres://'.repeat(2_000) + 'a:'.repeat(5_000) + 'password='.repeat(2_000));
  expect(performance.now() - started).toBeLessThan(2_000);
});
