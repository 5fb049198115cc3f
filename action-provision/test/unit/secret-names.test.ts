import { describe, expect, test } from '@jest/globals';

import { secretNameOf, secretNames } from '../../src/github/secret-names.js';
import { desired } from '../support.js';

describe('the name of a secret', () => {
  test.each([
    ['acme-corp', 'ACME_CORP_DATABASE_URL'],
    ['Société "Générale"/$(id)', 'SOCIETE_GENERALE_ID_DATABASE_URL'],
    ['2020 Inc', 'TENANT_2020_INC_DATABASE_URL'],
    ['github-fan', 'TENANT_GITHUB_FAN_DATABASE_URL'],
    ['GitHub', 'TENANT_GITHUB_DATABASE_URL'],
    ['🚀 rocket', 'ROCKET_DATABASE_URL'],
  ])('of %j is %s', (key, name) => {
    expect(secretNameOf(key)).toBe(name);
  });

  test('of a long key is cut, and of two long ones not the same', () => {
    const [a, b] = [`${'x'.repeat(250)}a`, `${'x'.repeat(250)}b`].map(secretNameOf);
    expect(a).not.toBe(b);
    expect(a?.length).toBeLessThan(130);
    expect(a).toMatch(/^[A-Z][A-Z0-9_]+$/);
  });

  test('cannot be made of signs alone', () => {
    expect(() => secretNameOf('🚀')).toThrow(/no name of a secret/);
    expect(() => secretNames('auto', [desired('a')], [desired('🚀')])).not.toThrow();
  });

  test('that is given goes to one tenant only', () => {
    expect(secretNames('my_url', [desired('a')], [desired('b')])).toEqual(new Map([['a', 'MY_URL']]));
    expect(() => secretNames('my_url', [desired('a'), desired('b')], [])).toThrow(/one name is given for 2/);
  });
});
