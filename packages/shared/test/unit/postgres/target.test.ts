import { inspect } from 'node:util';

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { ExplainedError } from '../../../src/errors/index.js';
import { parseConnectionUri, placeOf, type ConnectionTarget } from '../../../src/postgres/index.js';

const PLAIN: ConnectionTarget = {
  host: 'h',
  port: 5432,
  user: 'u',
  password: 'p',
  database: 'd',
  tls: 'opportunistic',
};

describe('a connection URI', () => {
  test.each<[string, Partial<ConnectionTarget>]>([
    ['postgresql://u:p@h/d', {}],
    ['postgres://u:p@h/d', {}],
    ['POSTGRES://u:p@h/d', {}],
    ['postgres://u:p@h:6543/d', { port: 6543 }],
    ['postgres://u:p@h/d?port=6543', { port: 6543 }],
    ['postgres://u:p%40%3A%2F%25@h/d', { password: 'p@:/%' }],
    ['postgres://u:p@h/my%20db', { database: 'my db' }],
    ['postgres://%C3%BC:p@h/d', { user: 'ü' }],
    ['postgres://u:p@h', { database: 'u' }],
    ['postgres://u:p@h/', { database: 'u' }],
    ['postgres://u@h/d', { password: '' }],
    ['postgres://u@h/d?password=p', {}],
    ['postgres://u:p@h/d?password=other', {}],
    ['postgres://u:p@[::1]:5433/d', { host: '::1', port: 5433 }],
    ['postgres://u:p@127.0.0.1/d', { host: '127.0.0.1' }],
    ['postgres://u:p@h/d?sslmode=disable', { tls: 'off' }],
    ['postgres://u:p@h/d?sslmode=allow', { tls: 'opportunistic' }],
    ['postgres://u:p@h/d?sslmode=prefer', { tls: 'opportunistic' }],
    ['postgres://u:p@h/d?sslmode=require', { tls: 'verified' }],
    ['postgres://u:p@h/d?sslmode=verify-ca', { tls: 'verified' }],
    ['postgres://u:p@h/d?sslmode=verify-full', { tls: 'verified' }],
    ['postgres://u:p@h/d?sslmode=no-verify', { tls: 'encrypted' }],
    ['postgres://u:p@h/d?sslmode=require&channel_binding=require', { tls: 'verified', requireChannelBinding: true }],
    ['postgres://u:p@h/d?channel_binding=prefer', {}],
    ['postgres://u:p@h/d?options=endpoint%3Dep-x', { options: 'endpoint=ep-x' }],
  ])('%s', (uri, expected) => {
    expect(parseConnectionUri(uri)).toStrictEqual({ ...PLAIN, ...expected });
  });

  test('gives back whatever was put into it', () => {
    const part = fc.string({ minLength: 1, unit: 'grapheme' }).filter((text) => text !== '.' && text !== '..');
    fc.assert(
      fc.property(part, part, part, (user, password, database) => {
        const [u, p, d] = [user, password, database].map(encodeURIComponent);
        expect(parseConnectionUri(`postgresql://${u}:${p}@h/${d}`)).toMatchObject({ user, password, database });
      }),
    );
  });

  test.each([
    ['nothing', ''],
    ['a text', 's3cret'],
    ['another protocol', 'https://u:s3cret@h/d'],
    ['no host', 'postgres:///d?password=s3cret'],
    ['no user', 'postgres://:s3cret@h/d'],
    ['an odd port', 'postgres://u:s3cret@h:port/d'],
    ['a wrong escape', 'postgres://u:s3cret%zz@h/d'],
    ['an odd sslmode', 'postgres://u:s3cret@h/d?sslmode=s3cret'],
    ['a slash in the password', 'postgres://u:s3cret/x@h/d'],
  ])('with %s is refused without being repeated', (_, uri) => {
    try {
      parseConnectionUri(uri);
    } catch (thrown) {
      expect(thrown).toBeInstanceOf(ExplainedError);
      expect(String(thrown)).toContain('the connection URI cannot be used: ');
      expect(inspect(thrown, { showHidden: true, depth: 9 }).split('\n    at ')[0]).not.toContain('s3cret');
      return;
    }
    throw new Error('it was taken');
  });

  test('points at a place that may be printed', () => {
    expect(placeOf(parseConnectionUri('postgres://u:s3cret@h:6543/d?sslmode=require'))).toBe('h:6543/d');
  });
});
