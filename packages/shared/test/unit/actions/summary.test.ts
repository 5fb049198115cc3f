import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { renderSummary } from '../../../src/actions/index.js';
import type { Outcome } from '../../../src/fleet/index.js';
import { anyOutcome, failed, hostileText, outcome, report, skipped } from '../../support/builders.js';
import { readSummary } from '../../support/summary.js';

const unchanged = (name: string) => outcome({ status: 'unchanged', reason: 'up-to-date', detail: 'at 0001' }, { name });

function many(count: number, make: (index: number) => Outcome): Outcome[] {
  return Array.from({ length: count }, (_, index) => make(index));
}

describe('the head', () => {
  test('has verdict, totals and time', () => {
    const { heading, totals } = readSummary(
      renderSummary(report([outcome(), unchanged('a'), unchanged('b'), failed('boom'), skipped('drift')])),
    );
    expect(heading).toBe('## ❌ migrate failed, 5 tenants');
    expect(totals).toBe('✅ 1 done · ☑️ 2 unchanged · ❌ 1 failed · ⏭️ 1 skipped · 1 min 30 s');
  });

  test('speaks of one tenant as one', () => {
    expect(renderSummary(report([outcome()]))).toMatch(/^## ✅ migrate succeeded, 1 tenant\n/);
  });

  test('names a command other than the usual one', () => {
    expect(renderSummary(report([], { action: 'backup', command: 'restore' }))).toMatch(
      /^## ✅ backup: restore succeeded/,
    );
  });

  test('stands alone when there is nobody', () => {
    expect(renderSummary(report([]))).not.toContain('<');
  });
});

describe('the rows', () => {
  test('say who, what became of it, how long it took, and why', () => {
    const error = { message: 'syntax error', code: 'SQLSTATE 42601', hint: 'Mend it.' };
    const one = outcome({ status: 'failed', detail: 'created', error }, { name: 'ACME', durationMs: 4_200 });
    expect(readSummary(renderSummary(report([one]))).rows).toStrictEqual([
      {
        folded: false,
        name: 'ACME',
        projectId: 'misty-river-12345678',
        database: 'neondb',
        status: 'failed',
        duration: '4.2 s',
        story: ['created', 'syntax error (SQLSTATE 42601)', 'Mend it.'],
      },
    ]);
  });

  test('show failures first and never fold what needs attention', () => {
    const outcomes = [
      ...many(100, (index) => unchanged(`u-${index}`)),
      ...many(70, (index) => skipped('drift', { name: `s-${index}` })),
      ...many(60, (index) => failed('boom', { name: `f-${index}` })),
    ];
    const { rows } = readSummary(renderSummary(report(outcomes)));
    expect(rows.map(({ status }) => status)).toStrictEqual([
      ...repeated('failed', 60),
      ...repeated('skipped: drift', 70),
      ...repeated('unchanged: up-to-date', 100),
    ]);
    expect(rows.filter(({ folded }) => folded).every(({ status }) => status === 'unchanged: up-to-date')).toBe(true);
    expect(rows.filter(({ folded }) => !folded)).toHaveLength(130);
  });

  test('fold a long list of good ones', () => {
    const { rows } = readSummary(renderSummary(report(many(53, (index) => unchanged(`u-${index}`)))));
    expect(rows.filter(({ folded }) => folded)).toHaveLength(3);
    expect(rows).toHaveLength(53);
  });

  test('shorten a text that is too long, at a whole character', () => {
    const { rows } = readSummary(renderSummary(report([failed(`x${'🦊'.repeat(5_000)}`)])));
    const [story = ''] = rows[0]?.story ?? [];
    expect(story).toMatch(/^x🦊+…$/u);
    expect(story.length).toBeLessThan(1_600);
  });
});

function repeated(status: string, count: number): string[] {
  return Array.from({ length: count }, () => status);
}

describe('hostile text', () => {
  const oneLine = (text: string) => text.replace(/\s+/g, ' ').trim();

  test('stays in its cell as the text that it is', () => {
    fc.assert(
      fc.property(hostileText, hostileText, (name, message) => {
        const { rows } = readSummary(
          renderSummary(report([failed(message, { name, projectId: name, database: name })])),
        );
        expect(rows).toMatchObject([
          { name: oneLine(name), projectId: oneLine(name), database: oneLine(name), story: [oneLine(message)] },
        ]);
      }),
    );
  });

  test.each([
    '<img src=x onerror=alert(1)>',
    '</td></tr></table>\n\n# Owned',
    '<!-- ',
    '&lt;b&gt;',
    '| a | b |',
    '[x](javascript:alert(1))',
    '```\n\n```',
  ])('%j', (name) => {
    expect(readSummary(renderSummary(report([failed('x', { name })]))).rows).toMatchObject([{ name: oneLine(name) }]);
  });

  test('leaves every summary readable, whatever the run', () => {
    fc.assert(
      fc.property(fc.array(anyOutcome, { maxLength: 10 }), (outcomes) => {
        expect(readSummary(renderSummary(report(outcomes), { openRows: 2 })).rows).toHaveLength(outcomes.length);
      }),
    );
  });
});

describe('the size', () => {
  test.each([
    ['long errors', 'an error with "quotes" & <signs> '.repeat(100)],
    ['text of many bytes', '障害🦊'.repeat(600)],
    ['short ones', 'boom'],
  ])('keeps below what a runner takes with 5,000 failures: %s', (_, message) => {
    const outcomes = many(5_000, (index) => failed(message, { name: `t-${index}` }));
    const summary = renderSummary(report(outcomes));
    expect(Buffer.byteLength(summary)).toBeLessThanOrEqual(900 * 1024);
    const { rows, left, heading, totals } = readSummary(summary);
    expect(rows.length).toBeGreaterThan(50);
    expect(rows.length + left).toBe(5_000);
    expect(heading).toContain('5000 tenants');
    expect(totals).toContain('❌ 5000 failed');
  });

  test.each<[string, string, string]>([
    ['short messages', 'ACME Corporation Limited of ', 'boom'],
    ['messages of many kilobytes', 'tenant-', 'an error with "quotes" & <signs> 障害🦊 '.repeat(300)],
    ['long names of many bytes', '障害'.repeat(40), 'boom '.repeat(1_000)],
    ['long names that are escaped', '<">'.repeat(40), 'boom '.repeat(1_000)],
  ])('names all of 5,000 tenants that failed: %s', (_, name, message) => {
    const outcomes = many(5_000, (index) =>
      failed(message, { name: `${name}${index}`, projectId: `misty-river-${10_000_000 + index}` }),
    );
    const summary = renderSummary(report(outcomes));
    expect(Buffer.byteLength(summary)).toBeLessThanOrEqual(900 * 1024);
    const { rows, left } = readSummary(summary);
    expect(left).toBe(0);
    expect(new Set(rows.map(({ projectId }) => projectId)).size).toBe(5_000);
    expect(rows.every((row) => row.name.length >= 8 && row.status === 'failed' && !row.folded)).toBe(true);
    // What room there is goes to the first ones.
    expect(rows[0]?.story[0]?.length).toBeGreaterThan(3);
  });

  test('tells failures of bounded length whole when there is room', () => {
    const outcomes = many(300, (index) => failed('x'.repeat(1_400), { name: `t-${index}` }));
    const { rows } = readSummary(renderSummary(report(outcomes)));
    expect(rows.map(({ story }) => story[0]?.length)).toStrictEqual(repeated('', 300).map(() => 1_400));
  });

  test('folds a long list of those that were skipped', () => {
    const outcomes = [failed('boom'), ...many(5_000, (index) => skipped('budget', { name: `s-${index}` })), outcome()];
    const { rows, left } = readSummary(renderSummary(report(outcomes)));
    expect(rows.filter(({ folded }) => !folded)).toHaveLength(101);
    expect(rows.length + left).toBe(5_002);
  });

  test('shows failures rather than anything else', () => {
    const outcomes = [...many(5_000, (index) => unchanged(`u-${index}`)), failed('boom'), skipped('gone')];
    const { rows, left } = readSummary(renderSummary(report(outcomes), { maxBytes: 20_000 }));
    expect(rows.slice(0, 3).map(({ status }) => status)).toStrictEqual([
      'failed',
      'skipped: gone',
      'unchanged: up-to-date',
    ]);
    expect(rows.length + left).toBe(5_002);
  });

  test('keeps to any bound that leaves room for the head', () => {
    fc.assert(
      fc.property(
        fc.array(anyOutcome, { maxLength: 30 }),
        fc.integer({ min: 2_000, max: 20_000 }),
        (outcomes, maxBytes) => {
          const summary = renderSummary(report(outcomes), { maxBytes, openRows: 5 });
          expect(Buffer.byteLength(summary)).toBeLessThanOrEqual(maxBytes);
          const { rows, left } = readSummary(summary);
          expect(rows.length + left).toBe(outcomes.length);
        },
      ),
      { numRuns: 50 },
    );
  });
});
