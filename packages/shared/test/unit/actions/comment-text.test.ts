import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { COMMENT_LENGTH, renderComment } from '../../../src/actions/comment-text.js';
import { anyOutcome, failed, hostileText, outcome, report, skipped } from '../../support/builders.js';

const MARKER = '<!-- neon-fleet migrate 0123456789abcdef -->';
const RUN_URL = 'https://github.com/org/app/actions/runs/1';

const render = (...args: Parameters<typeof report>) => renderComment(report(...args), { marker: MARKER });

describe('the comment of a run', () => {
  test('says the verdict and the totals, then who failed, and where to look', () => {
    const outcomes = [
      outcome(undefined, { name: 'Fine' }),
      skipped('drift', { name: 'Drifted' }),
      failed('SQLSTATE 42710', { name: 'Broken' }),
    ];
    expect(render(outcomes, { runUrl: RUN_URL })).toBe(
      [
        MARKER,
        '<h3>❌ migrate failed, 3 tenants</h3>',
        '',
        '| done | unchanged | failed | skipped | time |',
        '| --- | --- | --- | --- | --- |',
        '| 1 | 0 | 1 | 1 | 1 min 30 s |',
        '',
        '<table>',
        '<tr><th align="left">Tenant</th><th align="left">Status</th><th align="left">What happened</th></tr>',
        '<tr><td><code>Broken</code></td><td>❌&nbsp;failed</td><td><code>SQLSTATE 42710</code></td></tr>',
        '<tr><td><code>Drifted</code></td><td>⏭️&nbsp;skipped: drift</td><td><code>skipped because of drift</code></td></tr>',
        '</table>',
        '',
        '⏭️ skipped: 1 drift',
        '',
        `<a href="${RUN_URL}">The run, with the full report</a>`,
        '',
      ].join('\n'),
    );
  });

  test('is short when all is well', () => {
    const text = render([outcome()], { runUrl: RUN_URL });
    expect(text).toContain('<h3>✅ migrate succeeded, 1 tenant</h3>');
    expect(text).not.toContain('<table>');
  });

  test('names twenty, failures first, and counts the others', () => {
    const many = Array.from({ length: 30 }, (_, index) =>
      failed('boom', { name: `f-${index}`, projectId: `p-${index}` }),
    );
    const text = render([skipped('locked'), ...many]);
    expect(text.match(/failed<\/td>/g)).toHaveLength(20);
    expect(text).toContain('and 11 more that need attention');
    expect(text).toContain('skipped: 1 locked');
  });

  test('links to nothing but an address of the web', () => {
    expect(render([outcome()], { runUrl: 'javascript:alert(1)' })).not.toContain('href');
    expect(render([outcome()], { runUrl: 'https://x.example/"><script>' })).not.toContain('<script>');
  });

  test.each([
    ['a mention', 'ask @octocat and @org/team', /@\w/],
    ['Markdown', '[x](https://evil.example) **b** `c`', /^\[x\]|\n\[x\]/],
    ['HTML', '</code><img src=x>', /<img/],
    ['another marker', MARKER, new RegExp(`\\n.*${MARKER}`)],
    ['blank lines', 'a\n\n# b', /\n# b/],
    ['what reverses', 'gnp\u202egpj', /\u202e/],
  ])('keeps %s in a name and a message from doing anything', (_, text, harm) => {
    const comment = render([failed(text, { name: text })]);
    expect(comment).not.toMatch(harm);
    expect(comment.startsWith(`${MARKER}\n`)).toBe(true);
  });

  test('keeps its form and its size, whatever it is about', () => {
    const row =
      /^<tr><td><code>[^<>@]*(?:@\u200b[^<>@]*)*<\/code><\/td><td>\S+&nbsp;[a-z: -]+<\/td><td>(?:<code>[^<>@]*(?:@\u200b[^<>@]*)*<\/code>(?:<br>)?)+<\/td><\/tr>$/u;
    fc.assert(
      fc.property(fc.array(anyOutcome, { maxLength: 30 }), hostileText, (outcomes, key) => {
        const text = renderComment(report(outcomes), { marker: MARKER, key });
        expect(text.length).toBeLessThanOrEqual(COMMENT_LENGTH);
        const rows = text.split('\n').filter((line) => line.startsWith('<tr><td>'));
        for (const line of rows) expect(line).toMatch(row);
        expect(text.split('\n').filter((line) => line.includes('<!--'))).toEqual([MARKER]);
      }),
    );
  });

  test('stays below the limit where every character has to be escaped', () => {
    const worst = '"'.repeat(5_000);
    const outcomes = Array.from({ length: 5_000 }, (_, index) =>
      failed(worst, { name: `${worst}${index}`, projectId: `p-${index}` }),
    );
    const text = renderComment(report(outcomes), { marker: MARKER, key: '@'.repeat(100) });
    expect(text.length).toBeLessThanOrEqual(COMMENT_LENGTH);
    expect(text).toMatch(/and 4,?98\d more/);
  });
});
