import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { secretForms } from '../../../src/actions/index.js';
import { redact, rememberSecret } from '../../../src/actions/masking.js';
import { hostileText } from '../../support/builders.js';

describe('the forms of a connection URI', () => {
  test.each<[string, string[]]>([
    ['postgresql://owner:npg_s3cret@ep-x.neon.tech/neondb?sslmode=require', ['npg_s3cret']],
    ['postgres://owner:p%40ss%2Fword@host/db', ['p%40ss%2Fword', 'p@ss/word']],
    ['postgres://owner:p%2fss@host/db', ['p%2fss', 'p/ss', 'p%2Fss']],
    ['postgres://owner:a$b%20c@host/db', ['a$b%20c', 'a$b c', 'a%24b%20c']],
    ['postgres://owner:p@ss@host/db', ['p@ss', 'p%40ss']],
    ['postgres://owner:p:ss@host/db', ['p:ss', 'p%3Ass']],
    ['postgres://owner:100%25@host/db', ['100%25', '100%']],
    ['postgres://:s3cret@host/db', ['s3cret']],
    ['postgres://owner@host/db?password=s%263&x=1', ['s%263', 's&3']],
    ['POSTGRES://owner:s3cret@host/db', ['s3cret']],
    ['  postgres://owner:s3cret@host/db\n', ['s3cret', 'postgres://owner:s3cret@host/db']],
    // Not usable, but somebody gave it as a secret.
    ['postgres://owner:100%zz@host/db', ['100%zz']],
    ['postgres://owner:p/ss@host/db', ['p/ss']],
    ['postgres://owner:s3cret@host:port/db', ['s3cret']],
  ])('%s', (uri, forms) => {
    expect(secretForms(uri)).toEqual(expect.arrayContaining([uri, ...forms]));
  });

  test('hold the password in every way of writing it', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1, maxLength: 20 }), (password) => {
        fc.pre(password.trim() !== '');
        const forms = secretForms(
          `postgresql://owner:${encodeURIComponent(password)}@host:5432/neondb?sslmode=require`,
        );
        expect(forms).toEqual(expect.arrayContaining([password, encodeURIComponent(password)]));
      }),
    );
  });

  test('do not hold what is public: user, host and database would vanish from the whole log', () => {
    const forms = secretForms('postgresql://owner:npg_s3cret@ep-x.neon.tech/neondb');
    for (const part of ['owner', 'ep-x.neon.tech', 'neondb', 'postgresql']) expect(forms).not.toContain(part);
  });
});

describe('the forms of another secret', () => {
  test.each<[string, string[]]>([
    ['napi_abc', ['napi_abc']],
    [' napi_abc\n', [' napi_abc\n', 'napi_abc', '%20napi_abc%0A']],
    ['a/b=', ['a/b=', 'a%2Fb%3D']],
    ['a%2Fb', ['a%2Fb', 'a/b', 'a%252Fb']],
    ['100%', ['100%', '100%25']],
    ['half a character \ud83e', ['half a character \ud83e']],
  ])('%j', (secret, forms) => {
    expect(secretForms(secret).toSorted()).toStrictEqual(forms.toSorted());
  });
});

test.each(['', ' ', '\n', '\t \r\n', 'postgres://', 'postgres://:@/', 'postgres://u:@h/d', 'postgres://u:%20@h/d'])(
  '%j gives no mask that is empty, which would hide the whole log',
  (secret) => {
    for (const form of secretForms(secret)) expect(form.trim()).not.toBe('');
  },
);

test('any text can be masked, and no mask is blank', () => {
  fc.assert(
    fc.property(
      hostileText,
      fc.constantFrom('', 'postgres://', 'postgresql://u:', 'postgres://u:p@'),
      (text, before) => {
        const forms = secretForms(before + text);
        for (const form of forms) expect(form.trim()).not.toBe('');
        expect(new Set(forms).size).toBe(forms.length);
        if ((before + text).trim() !== '') expect(forms).toContain(before + text);
      },
    ),
  );
});

describe('a text that repeats secrets', () => {
  test('loses all of them, the longest of those that begin alike first', () => {
    for (const secret of ['swordfish', 'swordfish-and-more', 'postgres://owner:swordfish@host/db', 'ä🦊ä🦊ä🦊']) {
      rememberSecret(secret);
    }
    expect(redact('swordfishswordfish, swordfish-and-more; swordfis')).toBe('******, ***; swordfis');
    expect(redact('at postgres://owner:swordfish@host/db!')).toBe('at ***!');
    expect(redact('xä🦊ä🦊ä🦊')).toBe('x***');
    expect(redact('')).toBe('');
  });

  test('keeps what is too short to be told from an ordinary word', () => {
    rememberSecret('table');
    expect(redact('no such table')).toBe('no such table');
  });

  test('whatever they are and wherever they stand', () => {
    const secret = fc.string({ unit: 'grapheme', minLength: 6, maxLength: 12 }).filter((text) => text.length >= 6);
    fc.assert(
      fc.property(fc.array(secret, { minLength: 1, maxLength: 5 }), hostileText, (secrets, between) => {
        for (const one of secrets) rememberSecret(one);
        const redacted = redact(secrets.map((one) => `${between}<${one}>`).join(''));
        for (const one of secrets) expect(redacted).not.toContain(`<${one}>`);
      }),
    );
  });

  test('is dealt with among tens of thousands of secrets', () => {
    for (let index = 0; index < 30_000; index += 1) rememberSecret(`secret of tenant ${index}!`);
    for (let index = 0; index < 2_000; index += 1) expect(redact(`${'no '.repeat(100)}${index}`)).not.toContain('*');
    expect(redact('the secret of tenant 29999!')).toBe('the ***');
    expect(rememberSecret('secret of tenant 7!')).toBe(false);
  });
});
