import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import {
  planFileInputs,
  planFileProblems,
  readInputs,
  rolloutInputs,
  shardingInputs,
} from '../../../src/actions/index.js';

const ALL = { ...rolloutInputs, ...shardingInputs, ...planFileInputs };
const read = (given: Readonly<Record<string, string>>) => readInputs(ALL, (name) => given[name] ?? '');

describe('the inputs of a rollout', () => {
  test('have defaults: one wave, a hundredth may fail, all shards of a wave at once', () => {
    expect(read({})).toStrictEqual({
      waves: [{ kind: 'percent', percent: 100 }],
      soak: undefined,
      maxFailures: { kind: 'percent', percent: 1 },
      maxShards: 256,
      tenantsPerShard: 500,
      maxParallel: 256,
      plan: undefined,
      shard: undefined,
      reports: undefined,
      throughWave: undefined,
      runCancelled: false,
    });
  });

  test('are read into what they mean', () => {
    expect(read({ waves: 'canary-*, 10%', 'max-failures': '5', soak: '10m', shard: '3' })).toMatchObject({
      waves: [
        { kind: 'names', patterns: ['canary-*'] },
        { kind: 'percent', percent: 10 },
        { kind: 'percent', percent: 100 },
      ],
      maxFailures: { kind: 'count', count: 5 },
      soak: 600_000,
      shard: 3,
    });
  });

  test.each<[string, string, string]>([
    ['waves', '10%, 1%', 'growing numbers or percentages'],
    ['max-failures', 'many', 'a number of tenants such as 5, or a share of them such as 1%'],
    ['max-shards', '257', 'a whole number from 1 to 256'],
    ['shard', '0', 'a whole number from 1 to 256'],
    ['soak', '6h', 'at most 5h'],
  ])('%s: %j is refused, with what is accepted', (name, given, accepted) => {
    expect(() => read({ [name]: given })).toThrow(`${name}: given ${JSON.stringify(given)}; accepted:`);
    expect(() => read({ [name]: given })).toThrow(accepted);
  });
});

describe('the files that jobs hand on', () => {
  let folder: string;
  let file: string;
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'neon-fleet-inputs-'));
    file = path.join(folder, 'plan.json');
    await writeFile(file, '{}');
  });
  afterAll(() => rm(folder, { recursive: true }));

  test.each(['apply', 'report'])('are a plan that is there, and a folder that may be missing, for %s', (command) => {
    expect(planFileProblems({ command, plan: file, reports: folder })).toEqual([]);
    expect(planFileProblems({ command, plan: file, reports: path.join(folder, 'nobody') })).toEqual([]);
    const nowhere = path.join(folder, 'nowhere.json');
    expect(planFileProblems({ command, plan: nowhere, reports: file })).toEqual([
      {
        input: 'plan',
        given: `${JSON.stringify(nowhere)}, and there is no plan at this path`,
        accepted: 'the path of the plan that the command plan wrote',
      },
      {
        input: 'reports',
        given: `${JSON.stringify(file)}, and that is a file`,
        accepted: "the folder that the shards' records are in",
      },
    ]);
    expect(planFileProblems({ command, plan: folder })).toMatchObject([{ given: expect.stringMatching(/a folder$/) }]);
  });

  test('do not matter to other commands', () => {
    expect(planFileProblems({ command: 'run', plan: 'nowhere', reports: file })).toEqual([]);
  });
});
