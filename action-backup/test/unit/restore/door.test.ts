import { describe, expect, test } from '@jest/globals';

import { chooseDoor, type HistoryFacts } from '../../../src/restore/door.js';

const NOW = new Date('2026-11-24T12:00:00Z');
const FACTS: HistoryFacts = {
  moment: new Date('2026-11-24T11:00:00Z'),
  now: NOW,
  projectCreatedAt: '2026-01-01T00:00:00Z',
  retentionSeconds: 86_400,
  branch: { name: 'main', createdAt: '2026-01-01T00:00:01Z' },
};

describe('the door to a moment', () => {
  test('is the history of Neon inside of its window', () => {
    expect(chooseDoor(FACTS)).toEqual({ kind: 'instant' });
    expect(chooseDoor({ ...FACTS, moment: new Date('2026-11-23T12:01:01Z') })).toEqual({ kind: 'instant' });
    expect(chooseDoor({ ...FACTS, moment: NOW })).toEqual({ kind: 'instant' });
  });

  test.each<[string, Partial<HistoryFacts>, RegExp]>([
    ['before the window', { moment: new Date('2026-11-23T11:59:59Z') }, /reaches back to .* only \(86400 s\)/],
    ['at its very end, which moves on', { moment: new Date('2026-11-23T12:00:30Z') }, /reaches back to/],
    ['without any history', { retentionSeconds: 0 }, /reaches back to/],
    ['where Neon does not say', { retentionSeconds: undefined }, /does not say/],
    ['before the project', { projectCreatedAt: '2026-11-24T11:00:01Z' }, /the project was made after that/],
    [
      'before the branch',
      { branch: { name: 'b', createdAt: '2026-11-24T11:30:00Z' } },
      /the branch "b" was made after that, at 2026-11-24T11:30:00Z/,
    ],
    [
      'before what the branch holds was replaced',
      { branch: { name: 'b', createdAt: '2026-01-01T00:00:00Z', lastResetAt: '2026-11-24T11:30:00Z' } },
      /the branch "b" was last reset after that/,
    ],
  ])('is a dump %s', (_, facts, why) => {
    expect(chooseDoor({ ...FACTS, ...facts })).toEqual({ kind: 'dump', why: expect.stringMatching(why) });
  });
});
