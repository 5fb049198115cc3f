import { readFile } from 'node:fs/promises';

import { describe, expect, test } from '@jest/globals';
import { Ajv } from 'ajv';
import fc from 'fast-check';
import { parse } from 'yaml';

import {
  durationText,
  FleetFileError,
  fleetFileJsonSchema,
  parseFleetFile,
  resolveFleet,
  sizeText,
} from '../../../src/fleet/index.js';

function problemsOf(text: string): string[] {
  try {
    parseFleetFile(text);
  } catch (thrown) {
    if (thrown instanceof FleetFileError) {
      return thrown.problems.map(({ line, column, message }) => `${line}:${column} ${message}`);
    }
    throw thrown;
  }
  return [];
}

describe('a fleet file', () => {
  test('gives units in seconds and bytes, and days as numbers', () => {
    const { defaults } = parseFleetFile(`
defaults:
  region: aws-eu-central-1
  postgres: 16
  quota: { compute-time: 100h, logical-size: 5GiB, data-transfer: 1.5GB, active-time: 0s }
  history-retention: 7d
  suspend-after: never
  maintenance-window: { weekdays: [mon, sun], start: "02:00", end: "03:00" }
  backup: { every: 6h, retention: 24h/7d }
`);
    expect(defaults).toStrictEqual({
      region: 'aws-eu-central-1',
      postgres: 16,
      quota: {
        'compute-time': 360_000,
        'logical-size': 5 * 2 ** 30,
        'data-transfer': 1_500_000_000,
        'active-time': 0,
      },
      'history-retention': 604_800,
      'suspend-after': -1,
      'maintenance-window': { weekdays: [1, 7], start: '02:00', end: '03:00' },
      backup: { every: 21_600, retention: '24h/7d' },
    });
  });

  test('may be empty, or have comments only', () => {
    for (const text of ['', '# nothing yet\n', '---\n']) expect(parseFleetFile(text).tenants).toStrictEqual([]);
  });

  test.each([
    ['tenants:\n  - key: acme\n    nmae: ACME\n', '3:5 unknown key "nmae"; did you mean name?'],
    ['defaults:\n  quota: { compute_time: 100h }\n', '2:12 unknown key "compute_time"; did you mean compute-time?'],
    ['groups:\n  - match: { regoin: x }\n', '2:14 unknown key "regoin"; did you mean region?'],
    ['tenant:\n  - key: acme\n', '1:1 unknown key "tenant"; did you mean tenants?'],
    ['defaults:\n  zzzzzzzzzzzzzz: 1\n', /^2:3 unknown key "zzzzzzzzzzzzzz"; known are region, postgres, /],
    ['defaults:\n  quota:\n    compute-time: 100\n', /^3:19 compute-time: expected a length of time with its unit/],
    ['defaults:\n  quota:\n    logical-size: 5 GiB\n', /^3:19 logical-size: expected an amount of data with its unit/],
    ['defaults:\n  history-retention: 31d\n', /^2:22 history-retention: expected .* at most 30d$/],
    ['defaults:\n  suspend-after: 10s\n', /^2:18 suspend-after: expected .* at least 1m/],
    ['tenants:\n  - key: 42\n', /^2:10 key: expected a key .*in quotes/],
    ['tenants:\n  - name: ACME\n', /^2:5 key: expected a key/],
    ['tenants:\n  - key: a b\n', /^2:10 key: expected at most 100 letters/],
    ['tenants: acme\n', '1:10 tenants: expected a list (lines that begin with -)'],
    ['defaults:\n  autoscaling: { min: 4, max: 2 }\n', /^2:16 autoscaling: expected min must not be greater/],
    [
      'defaults:\n  maintenance-window: { weekdays: [so], start: "1:00", end: "02:00" }\n',
      /^2:36 .*expected one of mon/,
    ],
    ['tenants:\n  - key: a\n    key: b\n', '3:5 this key is there twice'],
    ['tenants:\n  - key: acme\n  - key: ACME\n', '3:10 the key "ACME" is there twice, as on line 2'],
    ['tenants:\n  - key: a\n    name: X\n  - key: b\n    name: X\n', '5:11 the name "X" is there twice, as on line 3'],
    ['tenants:\n  - key: X\n  - key: b\n    name: X\n', '4:11 the name "X" is there twice, as on line 2'],
    [
      'tenants:\n  - { key: a, project-id: p-1 }\n  - { key: b, project-id: p-1 }\n',
      '3:27 the project-id "p-1" is there twice, as on line 2',
    ],
    [
      'tenants:\n  - key: staging-1\nignored:\n  - staging-*\n',
      /^4:5 "staging-\*" also takes out the tenant "staging-1"/,
    ],
    ['tenants:\n  - key: "a\n', /^\d+:\d+ /],
    ['- a\n- b\n', /^1:1 expected keys with values/],
  ])('%j is refused with its place', (text, problem) => {
    const [first = ''] = problemsOf(text);
    if (typeof problem === 'string') expect(first).toBe(problem);
    else expect(first).toMatch(problem);
  });

  test('names everything that is wrong at once, with the file', () => {
    const text = 'tenants:\n  - key: a\n    regoin: x\n  - key: b\n    postgres: "17"\n';
    expect(() => parseFleetFile(text, 'ops/fleet.yml')).toThrow(
      /ops\/fleet\.yml:3:5: .*region[\s\S]*ops\/fleet\.yml:5:15: postgres/,
    );
  });

  test('whatever is in it, is read or refused with a place inside it', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 60 }),
      fc
        .array(
          fc.constantFrom('tenants:', '\n', '  ', '- ', 'key: ', 'a', '{', '}', '[', ']', '"', '&a ', '*a', '<<: '),
        )
        .map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(text, (anything) => {
        try {
          parseFleetFile(anything);
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(FleetFileError);
          for (const { line } of (thrown as FleetFileError).problems) {
            expect(line).toBeGreaterThanOrEqual(1);
            expect(line).toBeLessThanOrEqual(anything.split('\n').length + 1);
          }
        }
      }),
    );
  });
});

describe('a resolved fleet', () => {
  const file = parseFleetFile(`
defaults: { region: aws-us-east-1, autoscaling: { min: 0.25, max: 2 }, allowed-ips: { ips: [10.0.0.1] }, labels: { tier: basic } }
groups:
  - match: "enterprise-*"
    autoscaling: { max: 8 }
    allowed-ips: { ips: [] }
  - match: { region: aws-eu-central-1, labels: { tier: basic } }
    history-retention: 7d
  - match: [enterprise-b, nobody]
    autoscaling: { max: 4 }
tenants:
  - { key: acme, name: ACME Corp }
  - { key: enterprise-a, region: aws-eu-central-1 }
  - { key: enterprise-b, project-id: p-b, autoscaling: { min: 1 }, labels: { tier: gold }, region: aws-eu-central-1 }
`);

  test('takes defaults, then groups in their order, then its own', () => {
    expect(resolveFleet(file)).toStrictEqual([
      {
        key: 'acme',
        name: 'ACME Corp',
        settings: {
          region: 'aws-us-east-1',
          autoscaling: { min: 0.25, max: 2 },
          'allowed-ips': { ips: ['10.0.0.1'] },
          labels: { tier: 'basic' },
        },
      },
      {
        key: 'enterprise-a',
        name: 'enterprise-a',
        settings: {
          region: 'aws-eu-central-1',
          autoscaling: { min: 0.25, max: 8 },
          'allowed-ips': { ips: [] },
          labels: { tier: 'basic' },
          'history-retention': 604_800,
        },
      },
      {
        key: 'enterprise-b',
        name: 'enterprise-b',
        projectId: 'p-b',
        settings: {
          region: 'aws-eu-central-1',
          autoscaling: { min: 1, max: 4 },
          'allowed-ips': { ips: [] },
          labels: { tier: 'gold' },
        },
      },
    ]);
  });

  test('says so when the limits that came together contradict each other', () => {
    const contradictory = parseFleetFile(
      'defaults: { autoscaling: { min: 4 } }\ntenants:\n  - { key: acme, autoscaling: { max: 2 } }\n',
    );
    expect(() => resolveFleet(contradictory)).toThrow(/"acme".*4.*2/);
  });
});

describe('units', () => {
  test.each([
    [0, '0s'],
    [90, '90s'],
    [360_000, '100h'],
    [604_800, '7d'],
  ])('%d seconds are %s', (seconds, text) => {
    expect(durationText(seconds)).toBe(text);
  });

  test('written and read again, are the same', () => {
    fc.assert(
      fc.property(fc.nat(2_592_000), fc.nat(), (seconds, bytes) => {
        const text = `defaults: { history-retention: ${durationText(seconds)}, quota: { logical-size: ${sizeText(bytes)} } }`;
        const { defaults } = parseFleetFile(text);
        expect(defaults['history-retention']).toBe(seconds);
        expect(defaults.quota?.['logical-size']).toBe(bytes);
      }),
    );
  });
});

describe('the JSON Schema', () => {
  const validate = new Ajv({ strict: false }).compile(fleetFileJsonSchema());

  test('takes the example, which the parser takes too', async () => {
    const text = await readFile(new URL('../../../../../examples/fleet.yml', import.meta.url), 'utf8');
    expect(resolveFleet(parseFleetFile(text))).toHaveLength(3);
    expect(validate(parse(text))).toBe(true);
  });

  test.each([
    'tenants: [{ kye: a }]',
    'defaults: { quota: { compute-time: 100 } }',
    'defaults: { suspend-after: soon }',
  ])('refuses %s as the parser does', (text) => {
    expect(validate(parse(text))).toBe(false);
    expect(problemsOf(text)).not.toStrictEqual([]);
  });
});
