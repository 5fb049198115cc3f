import { describe, expect, test } from '@jest/globals';

import { partOf } from '../../../src/commands/restore-many.js';
import { oneAtATime } from '../../../src/restore/one-at-a-time.js';

const tenants = Array.from({ length: 1_000 }, (_, index) => ({ projectId: `misty-${index}`, database: 'neondb' }));

describe('the parts of many', () => {
  test('hold everybody once, and about as many each', () => {
    const parts = [1, 2, 3, 4].map((number) => partOf(tenants, { number, of: 4 }));
    expect(parts.flat().toSorted((a, b) => tenants.indexOf(a) - tenants.indexOf(b))).toEqual(tenants);
    for (const part of parts) expect(part.length).toBeGreaterThan(200);
    expect(partOf(tenants, undefined)).toBe(tenants);
  });

  test('do not depend on who else is there', () => {
    const few = tenants.filter((_, index) => index % 7 === 0);
    const ofFew = partOf(few, { number: 2, of: 4 });
    expect(ofFew).toEqual(partOf(tenants, { number: 2, of: 4 }).filter((tenant) => few.includes(tenant)));
  });
});

describe('what is about the same thing', () => {
  test('is done in turn, also after a failure, and does not keep others waiting', async () => {
    const turns = oneAtATime();
    const log: string[] = [];
    const open: (() => void)[] = [];
    const first = turns('a', async () => {
      log.push('first begins');
      await new Promise<void>((resolve) => open.push(resolve));
      log.push('first ends');
      throw new Error('first failed');
    });
    const note = (line: string) => () => {
      log.push(line);
      return Promise.resolve();
    };
    const second = turns('a', note('second'));
    await turns('b', note('other'));
    open.forEach((resolve) => resolve());
    await expect(first).rejects.toThrow('first failed');
    await second;
    expect(log).toEqual(['first begins', 'other', 'first ends', 'second']);
  });
});
