import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { durationWords, messageOf, statusWords, storyOf } from '../../../src/actions/words.js';
import type { Outcome } from '../../../src/fleet/index.js';
import { anyOutcome, failed, outcome, report, skipped } from '../../support/builders.js';

describe('a length of time', () => {
  test.each([
    [0, '0 ms'],
    [0.4, '0 ms'],
    [320, '320 ms'],
    [999.4, '999 ms'],
    [999.6, '1.0 s'],
    [1_000, '1.0 s'],
    [1_949, '1.9 s'],
    [59_949, '59.9 s'],
    [59_950, '1 min 0 s'],
    [59_999, '1 min 0 s'],
    [60_000, '1 min 0 s'],
    [119_499, '1 min 59 s'],
    [119_500, '2 min 0 s'],
    [192_000, '3 min 12 s'],
    [3_599_499, '59 min 59 s'],
    [3_599_500, '1 h 0 min'],
    [3_600_000, '1 h 0 min'],
    [7_199_000, '1 h 59 min'],
    [90_000_000, '25 h 0 min'],
  ])('%d ms is %s', (durationMs, words) => {
    expect(durationWords(durationMs)).toBe(words);
  });

  test('never has sixty of anything, nor a thousand milliseconds', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1e9, noNaN: true }), (durationMs) => {
        expect(durationWords(durationMs)).not.toMatch(/\b(60(\.\d)? s|60 min|1000 ms)\b/);
      }),
    );
  });
});

describe('a status', () => {
  test.each<[Outcome, string]>([
    [outcome(), 'succeeded'],
    [failed('x'), 'failed'],
    [skipped('drift'), 'skipped: drift'],
    [outcome({ status: 'unchanged', reason: 'not-due', detail: '' }), 'unchanged: not-due'],
    [outcome({ status: 'rolled-back', detail: '', error: { message: '' } }), 'rolled-back'],
  ])('%#: %s', (one, words) => {
    expect(statusWords(one)).toBe(words);
  });
});

describe('the story of a tenant', () => {
  const story = (detail: string, error?: { message: string; code?: string; hint?: string }) =>
    storyOf(
      error === undefined ? outcome({ status: 'succeeded', detail }) : outcome({ status: 'failed', detail, error }),
    );

  test.each<[string, string[], string[]]>([
    ['what was done', story('applied 0001'), ['applied 0001']],
    ['an error that is the detail', story('boom', { message: 'boom' }), ['boom']],
    ['its code', story('boom', { message: 'boom', code: 'E1' }), ['boom (E1)']],
    [
      'a code that the message has already',
      story('HTTP 503: no', { message: 'HTTP 503: no', code: 'HTTP 503' }),
      ['HTTP 503: no'],
    ],
    ['what to do', story('boom', { message: 'boom', hint: 'Run again.' }), ['boom', 'Run again.']],
    ['a detail that begins the error', story('0001.sql', { message: '0001.sql: boom' }), ['0001.sql: boom']],
    [
      'a detail that ends with the error',
      story('created; boom', { message: 'boom', code: 'E1' }),
      ['created; boom (E1)'],
    ],
    [
      'a detail that begins with the error',
      story('boom; it is as it was', { message: 'boom', code: 'E1', hint: 'Do.' }),
      ['boom (E1); it is as it was', 'Do.'],
    ],
    ['a detail of its own', story('created', { message: 'boom', hint: 'Do.' }), ['created', 'boom', 'Do.']],
    ['no detail', story('', { message: 'boom' }), ['boom']],
  ])('has %s', (_, told, expected) => {
    expect(told).toStrictEqual(expected);
  });

  test('of what was skipped has its error too', () => {
    const one = outcome({
      status: 'skipped',
      reason: 'quota-suspended',
      detail: 'suspended',
      error: { message: 'quota' },
    });
    expect(storyOf(one)).toStrictEqual(['suspended', 'quota']);
  });
});

describe('the message of a run', () => {
  test.each<[string, Outcome[], string]>([
    ['nobody', [], 'migrate succeeded: no tenant was selected'],
    [
      'all good',
      [outcome(), outcome({ status: 'unchanged', reason: 'not-due', detail: '' })],
      'migrate succeeded: 1 done, 1 unchanged',
    ],
    ['a failure', [failed('x'), outcome()], 'migrate failed: 1 of 2 tenants failed (ACME Corp), 1 done'],
    ['left out', [skipped('gone', { name: 'Beta' })], 'migrate incomplete: 1 skipped (Beta)'],
    [
      'rolled back, which is failed',
      [outcome({ status: 'rolled-back', detail: '', error: { message: '' } })],
      'migrate failed: 1 of 1 tenants failed (ACME Corp)',
    ],
    [
      'many',
      Array.from({ length: 8 }, (_, index) => failed('x', { name: `t-${index}` })),
      'migrate failed: 8 of 8 tenants failed (t-0, t-1, t-2, t-3, t-4 and 3 more)',
    ],
  ])('%s', (_, outcomes, message) => {
    expect(messageOf(report(outcomes))).toBe(message);
  });

  test('ends with the address of the run', () => {
    expect(messageOf(report([], { runUrl: 'https://github.com/o/r/actions/runs/1' }))).toMatch(
      /; https:\/\/github\.com\/o\/r\/actions\/runs\/1$/,
    );
  });

  test('is one line, whatever the tenants are called', () => {
    fc.assert(
      fc.property(fc.array(anyOutcome, { maxLength: 8 }), (outcomes) => {
        expect(messageOf(report(outcomes))).not.toMatch(/[\r\n\u2028\u2029]/);
      }),
    );
  });
});
