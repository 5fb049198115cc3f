import { inspect } from 'node:util';

import { describe, expect, test } from '@jest/globals';

import { explain, ExplainedError, systemCode } from '../../../src/errors/index.js';

describe('an error that explains itself', () => {
  test('holds no secret in message, hint, stack or any other way of printing it', () => {
    const error = new ExplainedError({
      message: 'cannot use postgres://owner:s3cret@host/db',
      code: 'E1',
      hint: 'give another key than napi_s3cret_s3cret',
    });
    for (const text of [error.message, error.hint, error.stack, String(error), inspect(error), JSON.stringify(error)]) {
      expect(text).not.toContain('s3cret');
    }
  });

  test('is its own explanation', () => {
    const error = new ExplainedError(
      { message: 'what', code: 'E1', hint: 'do this' },
      { cause: new Error('not told') },
    );
    expect(explain(error)).toStrictEqual({ message: 'what', code: 'E1', hint: 'do this' });
  });

  test('has no keys for what is not known', () => {
    expect(explain(new ExplainedError({ message: 'what' }))).toStrictEqual({ message: 'what' });
  });
});

describe('anything else that is thrown', () => {
  const withCode = Object.assign(new Error('refused'), { code: 'ECONNREFUSED' });
  const itsOwnCause = new Error('round and round');
  itsOwnCause.cause = itsOwnCause;
  const circle = new Error('a');
  circle.cause = new Error('b', { cause: circle });
  const nestedInItself = new AggregateError([], '');
  nestedInItself.errors.push(nestedInItself, new Error('and one more'));

  test.each([
    ['an error', new Error('broken'), { message: 'broken' }],
    ['an error without words', new TypeError(), { message: 'TypeError' }],
    ['its code', withCode, { message: 'refused', code: 'ECONNREFUSED' }],
    ['a code that is a number', Object.assign(new Error('x'), { code: 7 }), { message: 'x' }],
    ['causes', new Error('a', { cause: new Error('b', { cause: 'c' }) }), { message: 'a: b: c' }],
    ['an error that is its own cause', itsOwnCause, { message: 'round and round' }],
    ['a circle of causes', circle, { message: 'a: b' }],
    [
      'several at once',
      new AggregateError([withCode, new Error('timeout'), withCode]),
      { message: 'refused: timeout' },
    ],
    [
      'several at once with words of their own',
      new AggregateError([withCode], 'all failed'),
      { message: 'all failed' },
    ],
    ['several, of which one is the whole', nestedInItself, { message: 'and one more' }],
    ['a text', 'plain words', { message: 'plain words' }],
    ['nothing', undefined, { message: 'a failure without a message' }],
    ['null', null, { message: 'a failure without a message' }],
    ['a number', 42, { message: 'a failure without a message' }],
    ['an object', { message: 'postgres://u:p@h' }, { message: 'a failure without a message' }],
  ])('%s', (_, thrown, explanation) => {
    expect(explain(thrown)).toStrictEqual(explanation);
  });

  test('is told without the secrets of the whole chain', () => {
    const thrown = new Error('a', { cause: new AggregateError([new Error('postgres://u:s3cret@h/db')], '') });
    expect(explain(thrown)).toStrictEqual({ message: 'a: postgres://u:***@h/db' });
  });
});

test.each([
  [{ code: '42P01' }, '42P01'],
  [{ code: 5 }, undefined],
  ['ENOENT', undefined],
  [null, undefined],
])('the code of %j is %s', (thrown, code) => {
  expect(systemCode(thrown)).toBe(code);
});
