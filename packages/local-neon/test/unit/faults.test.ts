import { describe, expect, test } from '@jest/globals';
import { Faults, matches } from '../../src/faults/faults.js';
import { parseFaults, type FaultRuleInput } from '../../src/faults/rules.js';

const rule = (input: FaultRuleInput) => {
  const [parsed] = parseFaults(input).rules;
  if (!parsed) throw new Error('no rule');
  return parsed;
};

const occasion = {
  method: 'GET',
  path: '/projects/p-1/branches',
  operationId: 'listProjectBranches',
  projectId: 'p-1',
  projectName: 'acme',
};

describe('whether a rule is about a request', () => {
  test.each<[FaultRuleInput, boolean]>([
    [{ kind: '503' }, true],
    [{ kind: '503', method: 'get' }, true],
    [{ kind: '503', method: 'POST' }, false],
    [{ kind: '503', path: 'listProjectBranches' }, true],
    [{ kind: '503', path: '/projects/*/branches' }, true],
    [{ kind: '503', path: '/projects/*' }, false],
    [{ kind: '503', path: '/projects/**' }, true],
    [{ kind: '503', path: '/branches$/' }, true],
    [{ kind: '503', path: '/projects/p.1/branches' }, false],
    [{ kind: '503', projectId: 'acme' }, true],
    [{ kind: '503', projectId: 'p-1' }, true],
    [{ kind: '503', projectId: 'p-2' }, false],
  ])('%j → %s', (input, expected) => {
    expect(matches(rule(input), occasion)).toBe(expected);
  });
});

describe('rules in action', () => {
  test('act in their order, and as often as they may', () => {
    const faults = new Faults();
    faults.set({ kind: '423', times: 2 }, { kind: '503', times: 1 }, { kind: 'wrong-password' });
    const take = () => faults.take(occasion, ['423', '503']).map(({ kind }) => kind);
    expect([take(), take(), take(), take()]).toEqual([['423'], ['423'], ['503'], []]);
    expect(faults.list()).toEqual([{ kind: 'wrong-password' }]);
  });

  test('the same seed gives the same chances', () => {
    const run = (seed: number) => {
      const faults = new Faults();
      faults.load({ seed, rules: [{ kind: '503', probability: 0.3 }] });
      return Array.from({ length: 1000 }, () => faults.take(occasion, ['503']).length);
    };
    expect(run(7)).toEqual(run(7));
    expect(run(7)).not.toEqual(run(8));
    const hits = run(7).reduce((sum, count) => sum + count, 0);
    expect(hits).toBeGreaterThan(240);
    expect(hits).toBeLessThan(360);
  });

  test('bad rules are refused together, and the good ones from before stay', () => {
    const faults = new Faults();
    faults.set({ kind: '503' });
    const bad = [{ kind: 'latency' }, { kind: '429', retryAfterSeconds: -1 }, { kind: '423', tims: 1 }];
    expect(() => faults.load(bad)).toThrow(/rules\.0\.ms[^]*rules\.1\.retryAfterSeconds[^]*tims/);
    expect(faults.list()).toEqual([{ kind: '503' }]);
  });

  test('a status may be written as a number', () => {
    expect(rule({ kind: 423 })).toEqual({ kind: '423' });
  });
});
