import { describe, expect, test } from '@jest/globals';
import { parseConnectionUri } from '@neon-fleet/shared/postgres';

import { fill, fillTargets, templateProblem, type TemplateTenant } from '../../../src/restore/target-template.js';

const TEMPLATE = 'postgresql://u:s3cret@db.example.com/{project-id}_{database}?sslmode=require';

function tenant(overrides: Partial<TemplateTenant> = {}): TemplateTenant {
  return { projectId: 'misty-1', name: 'ACME Corp', database: 'neondb', source: undefined, ...overrides };
}

describe('a template of targets', () => {
  test.each([
    TEMPLATE,
    'postgresql://u:p@h/{name}',
    'postgresql://{project-id}:p@{project-id}.db.example.com:5433/app',
    'postgres://u@h/{project-id}',
  ])('is taken: %s', (template) => {
    expect(templateProblem(template)).toBeUndefined();
  });

  test.each([
    ['postgresql://u:p@h/app', /the same database for every tenant/],
    ['postgresql://u:p@h/{database}', /the same database for every tenant/],
    ['postgresql://u:p@h/{tenant}', /a placeholder that is not known/],
    ['postgresql://u:p@h/{project-id', /a brace by itself/],
    ['postgresql://u:p@{name}.example.com/app', /its host has a placeholder/],
    ['postgresql://u:p@h/{project-id}?options={name}', /among its parameters/],
    ['mysql://u:p@h/{project-id}', /postgresql:/],
    ['postgresql:///{project-id}', /names no host/],
  ])('is refused: %s', (template, words) => {
    expect(templateProblem(template)).toMatch(words);
  });

  test.each(['a/b?sslmode=disable#x', 'x@evil.example/db', '{database}', "Ü & 'ö' %2F", '../..', '日本語', '$&'])(
    'lets a name change nothing but the name of the database: %s',
    (name) => {
      const uri = fill('postgresql://u:s3cret@db.example.com/{name}?sslmode=require', tenant({ name }));
      expect(parseConnectionUri(uri)).toEqual({
        host: 'db.example.com',
        port: 5432,
        user: 'u',
        password: 's3cret',
        database: name,
        tls: 'verified',
      });
    },
  );

  test('gives every tenant a place of its own', () => {
    const filled = fillTargets(TEMPLATE, [tenant(), tenant({ projectId: 'misty-2' }), tenant({ database: 'other' })]);
    expect(filled.map(({ targetUrl }) => parseConnectionUri(targetUrl).database)).toEqual([
      'misty-1_neondb',
      'misty-2_neondb',
      'misty-1_other',
    ]);
  });

  test.each<[string, string, TemplateTenant[], RegExp]>([
    [
      'two that would meet',
      'postgresql://u:s3cret@h/{name}',
      [tenant(), tenant({ projectId: 'misty-2' })],
      /"ACME Corp" \(misty-1, neondb\) and "ACME Corp" \(misty-2, neondb\) would both be restored into h:5432\/ACME Corp/,
    ],
    [
      'two databases of one',
      'postgresql://u:s3cret@h/{project-id}',
      [tenant(), tenant({ database: 'other' })],
      /would both be restored into h:5432\/misty-1/,
    ],
    [
      'its own source',
      'postgresql://u:s3cret@ep-x-pooler.Example.com/{project-id}',
      [tenant({ source: 'ep-x.example.com:5432/misty-1' })],
      /is what the backup of "ACME Corp" \(misty-1, neondb\) was made of/,
    ],
    [
      "somebody else's source",
      'postgresql://u:s3cret@h/{name}',
      [tenant({ name: 'a' }), tenant({ name: 'b', projectId: 'misty-2', source: 'h:5432/a' })],
      /"a" \(misty-1, neondb\): h:5432\/a is what the backup of "b"/,
    ],
    [
      'a name that the server would cut',
      'postgresql://u:s3cret@h/{name}',
      [tenant({ name: 'ä'.repeat(32) })],
      /more than 63 bytes/,
    ],
    ['a zero byte', 'postgresql://u:s3cret@h/{name}', [tenant({ name: 'a\0b' })], /zero byte/],
  ])('refuses %s, and shows no password', (_, template, tenants, words) => {
    let message = '';
    try {
      fillTargets(template, tenants);
    } catch (thrown) {
      message = String(thrown);
    }
    expect(message).toMatch(words);
    expect(message).not.toContain('s3cret');
  });
});
