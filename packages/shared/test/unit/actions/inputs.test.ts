import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import {
  booleanInput,
  catalogInputs,
  choiceInput,
  choicesInput,
  concurrencyInput,
  durationInput,
  InputError,
  integerInput,
  linesInput,
  locationInputs,
  maskSecretInputs,
  migrationInputs,
  neonInputs,
  patternInput,
  readInputs,
  runInputs,
  selectionInputs,
  textInput,
  urlInput,
  type InputDefinition,
  type InputProblem,
} from '../../../src/actions/index.js';

const description = 'What it is for.';

function reader(given: Readonly<Record<string, string>>): (name: string) => string {
  return (name) => given[name] ?? '';
}

/** What one input is read as; what is wrong about it instead, when it is refused. */
function readOne<T>(definition: InputDefinition<T>, raw: string): T | { refused: readonly InputProblem[] } {
  try {
    return readInputs({ input: definition }, () => raw).input;
  } catch (thrown) {
    if (thrown instanceof InputError) return { refused: thrown.problems };
    throw thrown;
  }
}

function refusal(given: string, accepted: string) {
  return { refused: [{ input: 'input', given, accepted }] };
}

describe('a text', () => {
  test.each([
    ['acme', 'acme'],
    ['  acme\n', 'acme'],
    ['', undefined],
    [' \t\r\n', undefined],
  ])('%j is %j', (raw, value) => {
    expect(readOne(textInput({ description }), raw)).toBe(value);
  });

  test('that is needed and blank is refused as nothing', () => {
    expect(readOne(textInput({ description, required: true, accepted: 'a name' }), ' ')).toStrictEqual(
      refusal('nothing', 'a name'),
    );
  });

  test('that is blank is the default, since an expression may come out empty', () => {
    expect(readOne(textInput({ description, default: './drizzle' }), ' ')).toBe('./drizzle');
  });
});

describe('a text of a fixed form', () => {
  const orgId = neonInputs['neon-org-id'];
  test('is taken', () => {
    expect(readOne(orgId, 'org-misty-river-12345678')).toBe('org-misty-river-12345678');
  });
  test.each(['misty', 'org-', 'ORG-1', 'org-a b', 'org-a\norg-b'])('%j is refused', (raw) => {
    expect(readOne(orgId, raw)).toStrictEqual(refusal(JSON.stringify(raw), orgId.accepted));
  });
});

describe('lines', () => {
  test.each([
    ['one', ['one']],
    ['one\ntwo', ['one', 'two']],
    ['one\r\ntwo\r\n', ['one', 'two']],
    ['\n\n  one  \n \n\ttwo\n', ['one', 'two']],
    ['*\n!staging-*', ['*', '!staging-*']],
    ['with, comma; and spaces', ['with, comma; and spaces']],
    ['twice\ntwice', ['twice', 'twice']],
  ])('%j', (raw, lines) => {
    expect(readOne(linesInput({ description }), raw)).toStrictEqual(lines);
  });

  test('may have to differ', () => {
    const unique = linesInput({ description, unique: true, accepted: 'each once' });
    expect(readOne(unique, 'one\ntwo')).toStrictEqual(['one', 'two']);
    expect(readOne(unique, 'one\n one')).toStrictEqual(refusal('"one\\n one"', 'each once'));
  });

  test('may have to be short', () => {
    const short = linesInput({ description, maxLength: 3, accepted: 'short' });
    expect(readOne(short, 'abc\ndef')).toStrictEqual(['abc', 'def']);
    expect(readOne(short, 'abc\ndefg')).toStrictEqual(refusal('"abc\\ndefg"', 'short'));
  });
});

describe('a whole number', () => {
  const input = integerInput({ description, min: -5, max: 200 });
  test.each([
    ['0', 0],
    ['-5', -5],
    ['200', 200],
    [' 16 ', 16],
    ['007', 7],
  ])('%j is %d', (raw, number) => {
    expect(readOne(input, raw)).toBe(number);
  });

  test.each(['201', '-6', '+5', '1e2', '0x10', '1.0', '1,000', '1 0', '1_0', '١', '1'.repeat(400), 'NaN', 'four', '-'])(
    '%j is refused',
    (raw) => {
      expect(readOne(input, raw)).toMatchObject({ refused: [{ accepted: 'a whole number from -5 to 200' }] });
    },
  );

  test('is not taken for less than it is', () => {
    expect(readOne(concurrencyInput('16').concurrency, '0')).toHaveProperty('refused');
    expect(readOne(concurrencyInput('16').concurrency, '')).toBe(16);
  });
});

describe('one of a few words', () => {
  const input = choiceInput(['run', 'restore'], { description, default: 'run' });
  test('is taken', () => {
    expect(readOne(input, 'restore')).toBe('restore');
    expect(readOne(input, '')).toBe('run');
  });
  test.each(['Run', 'runs', 'run restore', 'toString', '__proto__'])('%j is refused', (raw) => {
    expect(readOne(input, raw)).toStrictEqual(refusal(JSON.stringify(raw), 'one of run, restore'));
  });
  test('of which there is one is named alone', () => {
    expect(choiceInput(['run'], { description }).accepted).toBe('run');
  });
});

describe('several of a few words', () => {
  const input = choicesInput(['drift', 'locked', 'gone'], { description });
  test.each([
    ['drift', ['drift']],
    ['drift,locked', ['drift', 'locked']],
    ['drift, locked\ngone', ['drift', 'locked', 'gone']],
    [', drift ,,', ['drift']],
    ['', undefined],
  ])('%j', (raw, words) => {
    expect(readOne(input, raw)).toStrictEqual(words);
  });
  test.each(['drfit', 'drift;locked', 'drift Locked'])('%j is refused', (raw) => {
    expect(readOne(input, raw)).toStrictEqual(refusal(JSON.stringify(raw), 'a list out of drift, locked, gone'));
  });
});

describe('yes or no', () => {
  const input = booleanInput({ description, default: 'false' });
  test.each([
    ['true', true],
    ['True', true],
    ['TRUE', true],
    ['false', false],
    ['False', false],
    ['FALSE', false],
    ['', false],
    [' true\n', true],
  ])('%j is %j', (raw, value) => {
    expect(readOne(input, raw)).toBe(value);
  });
  test.each(['yes', 'no', 'on', 'off', '1', '0', 'tRUE', 'y', 'null'])('%j is refused', (raw) => {
    expect(readOne(input, raw)).toStrictEqual(refusal(JSON.stringify(raw), 'true or false'));
  });
});

describe('a length of time', () => {
  const input = durationInput({ description });
  test.each([
    ['1ms', 1],
    ['500ms', 500],
    ['30s', 30_000],
    ['15m', 900_000],
    ['15min', 900_000],
    ['5.5h', 19_800_000],
    ['7d', 604_800_000],
    ['30 s', 30_000],
    ['0.5ms', 1],
  ])('%s is %d ms', (raw, durationMs) => {
    expect(readOne(input, raw)).toBe(durationMs);
  });

  test.each([
    '30',
    '0s',
    '0.4ms',
    '-5s',
    '+5s',
    '.5h',
    '1e3s',
    '5 hours',
    '5H',
    '1h30m',
    '5y',
    '1w',
    's',
    `${'9'.repeat(200)}d`,
    `1${' '.repeat(200)}d`,
    `1.${'9'.repeat(200)}d`,
    `${'9'.repeat(15)}d`,
    'Infinity',
  ])('%j is refused', (raw) => {
    expect(readOne(input, raw)).toMatchObject({ refused: [{ input: 'input' }] });
  });

  test('may have an upper bound, which is told', () => {
    const bounded = durationInput({ description, maxMs: 60_000 });
    expect(readOne(bounded, '60s')).toBe(60_000);
    expect(readOne(bounded, '61s')).toMatchObject({ refused: [{ accepted: expect.stringMatching(/, at most 1m$/) }] });
  });

  test.each(Object.entries(migrationInputs).filter(([name]) => /timeout|wait/.test(name)))(
    'of %s fits into what PostgreSQL takes',
    (_, definition) => {
      expect(readOne<unknown>(definition, '24d')).toBe(2_073_600_000);
      expect(readOne<unknown>(definition, '25d')).toHaveProperty('refused');
    },
  );
});

describe('an address', () => {
  const input = urlInput({ description });
  test.each([
    'https://console.neon.tech/api/v2',
    'https://127.0.0.1:8443',
    'http://localhost:4000/api/v2',
    'http://LOCALHOST',
    'http://127.0.0.1:80',
    'http://127.255.255.254',
    'http://[::1]:5000/',
  ])('%s is taken as it was given', (raw) => {
    expect(readOne(input, raw)).toBe(raw);
  });

  test.each([
    'http://console.neon.tech',
    'http://127.0.0.1.evil.example',
    'http://localhost.evil.example',
    'http://evil.example#localhost',
    'http://evil.example/127.0.0.1',
    'http://localhost@evil.example',
    'http://0.0.0.0',
    'http://[::ffff:10.0.0.1]',
    'http://128.0.0.1',
    'ftp://localhost',
    'file:///etc/passwd',
    'javascript:alert(1)',
    'console.neon.tech',
    '//console.neon.tech',
    'https://',
    'https://user@console.neon.tech',
    'https://user:s3cret@console.neon.tech',
    'http://:s3cret@127.0.0.1',
  ])('%s is refused', (raw) => {
    expect(readOne(input, raw)).toMatchObject({
      refused: [{ accepted: 'an https:// address without user and password (http:// only for this machine itself)' }],
    });
  });
});

describe('what is wrong', () => {
  const definitions = {
    ...neonInputs,
    ...selectionInputs,
    ...runInputs,
    ...concurrencyInput('16'),
  } as const;

  test('is told all at once, each with what was given and what is accepted', () => {
    const given = {
      'neon-api-key': 'napi_fine_fine',
      'neon-org-id': 'mine',
      'time-limit': 'soon',
      concurrency: '0',
      'allow-skipped': 'drift',
    };
    expect(() => readInputs(definitions, reader(given))).toThrow(
      [
        '4 inputs are wrong; nothing was done.',
        '  neon-org-id: given "mine"; accepted: the id of an organisation, such as org-misty-river-12345678',
        "  tenants: given nothing; accepted: one glob a line, compared with names and ids of projects; '*' for all of them",
        '  time-limit: given "soon"; accepted: a length of time with its unit, such as 500ms, 30s, 15m or 5.5h',
        '  concurrency: given "0"; accepted: a whole number from 1 to 200',
      ].join('\n'),
    );
  });

  test('is told of one input as of one', () => {
    expect(() => readInputs({ key: textInput({ description, required: true }) }, reader({}))).toThrow(
      'An input is wrong; nothing was done.\n  key: given nothing; accepted: a text',
    );
  });

  test('includes what is wrong about several together, unless it is wrong by itself', () => {
    const check = () => [
      { input: 'concurrency', given: 'too much', accepted: 'less' },
      { input: 'tenants', given: 'both', accepted: 'one of them' },
    ];
    const act = (tenants: string) => () =>
      readInputs(definitions, reader({ 'neon-api-key': 'k', concurrency: '0', tenants }), check);
    expect(act('*')).toThrow(
      expect.objectContaining({
        problems: [
          { input: 'concurrency', given: '"0"', accepted: 'a whole number from 1 to 200' },
          { input: 'tenants', given: 'both', accepted: 'one of them' },
        ],
      }),
    );
  });

  test('never repeats a secret', () => {
    const secret = {
      ...textInput({ description, secret: true, required: true }),
      schema: neonInputs['neon-org-id'].schema,
    };
    expect(readOne(secret, 's3cret')).toStrictEqual(
      refusal('a value that is not shown because it is secret', 'a text'),
    );
  });

  test.each([
    ['a key in the wrong place', 'napi_s3cret_s3cret'],
    ['a URI', 'postgres://owner:s3cret@host'],
    ['a URI whose end is cut off', `postgres://owner:s3cret${'x'.repeat(300)}@host`],
  ])('never repeats what looks like a secret: %s', (_, raw) => {
    const { refused } = readOne(integerInput({ description, min: 1, max: 2 }), raw) as { refused: InputProblem[] };
    expect(refused).toHaveLength(1);
    expect(JSON.stringify(refused)).not.toContain('s3cret');
    expect(new InputError(refused).message).not.toContain('s3cret');
  });

  test('is shortened when it is long', () => {
    const { refused } = readOne(booleanInput({ description }), 'x'.repeat(10_000)) as { refused: InputProblem[] };
    expect(refused[0]?.given.length).toBeLessThan(210);
  });

  test('no text at all makes reading end in anything but values or an InputError', () => {
    const text = fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('1', '0s', '5h', 'true', 'https://x', '{}'));
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...Object.keys(definitions)), text), (given) => {
        try {
          readInputs(definitions, reader(given));
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(InputError);
        }
      }),
    );
  });
});

describe('the values', () => {
  test('have the names of the inputs in camel case, and defaults where nothing was given', () => {
    const values = readInputs(
      { ...neonInputs, ...locationInputs, ...runInputs, ...migrationInputs, ...concurrencyInput('4') } as const,
      reader({ 'neon-api-key': 'napi_key', database: 'app' }),
    );
    expect(values).toStrictEqual({
      neonApiKey: 'napi_key',
      neonOrgId: undefined,
      neonApiUrl: undefined,
      neonApiRate: 420,
      database: 'app',
      role: undefined,
      branch: undefined,
      allowSkipped: undefined,
      timeLimit: 19_800_000,
      migrationsSchema: 'drizzle',
      migrationsTable: '__drizzle_migrations',
      lockWait: 60_000,
      lockTimeout: 5_000,
      statementTimeout: 900_000,
      concurrency: 4,
    });
  });

  test('are typed as what they are: with a default or required they are never undefined', () => {
    const values = readInputs(
      {
        's3-bucket': textInput({ description, required: true }),
        'migrations-folder': textInput({ description, default: './drizzle' }),
        branch: textInput({ description }),
        region: patternInput({ description, pattern: /./, accepted: 'any' }),
        names: linesInput({ description, required: true }),
        ports: linesInput({ description }),
        command: choiceInput(['run', 'restore'], { description, default: 'run' }),
        mode: choiceInput(['fast', 'slow'], { description }),
        'dry-run': booleanInput({ description, default: 'false' }),
        limit: durationInput({ description, default: '1h' }),
        wait: durationInput({ description }),
        count: integerInput({ description, min: 0, max: 9, default: '3' }),
        url: urlInput({ description, required: true }),
        allow: choicesInput(['a', 'b'], { description }),
      } as const,
      reader({ 's3-bucket': 'b', names: 'n', url: 'https://x' }),
    );
    // What does not fit these types does not pass the type check.
    const typed: {
      s3Bucket: string;
      migrationsFolder: string;
      names: readonly string[];
      command: 'run' | 'restore';
      dryRun: boolean;
      limit: number;
      count: number;
      url: string;
    } = values;
    // @ts-expect-error -- may not have been given
    const branch: string = values.branch;
    // @ts-expect-error -- may not have been given
    const region: string = values.region;
    // @ts-expect-error -- may not have been given
    const ports: readonly string[] = values.ports;
    // @ts-expect-error -- may not have been given
    const mode: 'fast' | 'slow' = values.mode;
    // @ts-expect-error -- may not have been given
    const wait: number = values.wait;
    // @ts-expect-error -- may not have been given
    const allow: readonly ('a' | 'b')[] = values.allow;
    // @ts-expect-error -- there is no such input
    const other: unknown = values.other;
    // @ts-expect-error -- values are not for writing
    const write = () => (values.count = 4);

    expect(typed).toMatchObject({ s3Bucket: 'b', command: 'run', dryRun: false, limit: 3_600_000, count: 3 });
    expect([branch, region, ports, mode, wait, allow, other]).toStrictEqual(Array.from({ length: 7 }));
    expect(write).toBeInstanceOf(Function);
  });

  test('are asked for once each, by their own names', () => {
    const asked: string[] = [];
    readInputs({ ...locationInputs, ...runInputs } as const, (name) => {
      asked.push(name);
      return '';
    });
    expect(asked).toStrictEqual(['database', 'role', 'branch', 'allow-skipped', 'time-limit']);
  });
});

test('secrets are masked as they were given, and nothing else is', () => {
  const definitions = { ...neonInputs, ...locationInputs, ...catalogInputs };
  const given: Record<string, string> = { 'neon-api-key': ' napi_key\n', database: 'app', 'catalog-url': '  ' };
  const masked: string[] = [];
  maskSecretInputs(definitions, { readInput: (name) => given[name] ?? '', mask: (secret) => masked.push(secret) });
  expect(masked).toStrictEqual([' napi_key\n']);
});

test.each(
  Object.entries({ ...neonInputs, ...locationInputs, ...selectionInputs, ...runInputs, ...migrationInputs }).filter(
    ([, definition]) => 'default' in definition,
  ),
)('the default of %s is accepted', (_, definition) => {
  expect(readOne<unknown>(definition, '')).not.toHaveProperty('refused');
});
