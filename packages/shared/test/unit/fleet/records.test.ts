import { appendFile, mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { makeReport, openRecorder, readRecords, writeShardReport, type Outcome } from '../../../src/fleet/index.js';
import { anyOutcome, failed, outcome, report } from '../../support/builders.js';
import { planFor, recordOf } from '../../support/fleet.js';

const PLAN = planFor(9);

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'neon-fleet-records-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function headerFor(shard: number, attempt = 1) {
  const { planId, action, startedAt } = recordOf(PLAN, shard, { attempt });
  return { planId, action, shard, attempt, startedAt };
}

async function record(outcomes: readonly Outcome[], shard = 1, attempt = 1, carried: readonly Outcome[] = []) {
  const recorder = await openRecorder(folder, headerFor(shard, attempt), carried);
  for (const one of outcomes) recorder.add(one);
  recorder.close();
}

function reportFor(shard: number, outcomes: readonly Outcome[], attempt = 1) {
  const { startedAt } = headerFor(shard, attempt);
  const plan = { id: PLAN.id, shard, attempt };
  return makeReport({
    action: 'migrate',
    command: 'apply',
    startedAt: new Date(startedAt),
    endedAt: new Date(Date.parse(startedAt) + 1_000),
    outcomes,
    plan,
  });
}

describe('a running record', () => {
  test('has each outcome as soon as it is added', async () => {
    const recorder = await openRecorder(folder, headerFor(3), [outcome(undefined, { name: 'carried' })]);
    recorder.add(failed('boom'));
    expect(await readRecords(folder, PLAN)).toStrictEqual([
      recordOf(PLAN, 3, { outcomes: [outcome(undefined, { name: 'carried' }), failed('boom')], complete: false }),
    ]);
    recorder.close();
  });

  test('keeps to one line an outcome, whatever is in it', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyOutcome, { maxLength: 5 }), async (outcomes) => {
        await rm(folder, { recursive: true });
        await record(outcomes);
        const lines = (await readFile(path.join(folder, 'outcomes-1.jsonl'), 'utf8')).trimEnd().split('\n');
        expect(lines).toHaveLength(outcomes.length + 1);
        expect((await readRecords(folder, PLAN))[0]?.outcomes).toStrictEqual(outcomes);
      }),
      { numRuns: 50 },
    );
  });

  test('that was cut off anywhere loses at most its last line', async () => {
    const all = [outcome(undefined, { name: 'ä🦊' }), failed('boom'), outcome()];
    await record(all);
    const file = path.join(folder, 'outcomes-1.jsonl');
    const whole = await readFile(file);
    const headerLength = whole.indexOf('\n') + 1;
    for (let length = whole.length; length >= headerLength; length -= 1) {
      await truncate(file, length);
      const complete = whole.subarray(0, length).toString('utf8').split('\n').slice(1, -1).length;
      const [read] = await readRecords(folder, PLAN);
      expect(read?.outcomes.length).toBeGreaterThanOrEqual(complete);
      expect(read?.outcomes).toStrictEqual(all.slice(0, read?.outcomes.length));
    }
    await truncate(file, 10);
    expect(await readRecords(folder, PLAN)).toStrictEqual([]);
    await truncate(file, 0);
    expect(await readRecords(folder, PLAN)).toStrictEqual([]);
  });

  test('goes on after a line that was cut off', async () => {
    await record([outcome(undefined, { name: 'a' })]);
    await appendFile(path.join(folder, 'outcomes-1.jsonl'), `{"projectId":"p\n${JSON.stringify(failed('x'))}\n`);
    expect((await readRecords(folder, PLAN))[0]?.outcomes.map(({ name }) => name)).toStrictEqual(['a', 'ACME Corp']);
  });

  test('does not take the place of what an earlier attempt left', async () => {
    await record([outcome(undefined, { name: 'first' })]);
    await record([outcome(undefined, { name: 'second' })], 1, 2);
    await record([outcome(undefined, { name: 'third' })], 1, 3);
    expect((await readdir(folder)).toSorted()).toStrictEqual([
      'outcomes-1.1.jsonl',
      'outcomes-1.2.jsonl',
      'outcomes-1.jsonl',
    ]);
    const read = await readRecords(folder, PLAN);
    expect(read.map(({ attempt, outcomes }) => `${attempt} ${outcomes[0]?.name ?? ''}`).toSorted()).toStrictEqual([
      '1 first',
      '2 second',
      '3 third',
    ]);
  });

  test('takes the place of what another plan left on the same machine', async () => {
    await openRecorder(folder, { ...headerFor(1), planId: 'other' }).then((recorder) => recorder.close());
    await record([outcome()]);
    expect(await readRecords(folder, PLAN)).toHaveLength(1);
  });
});

describe('reading', () => {
  test('finds reports and running records, however deep, and counts a run once', async () => {
    await record([outcome(undefined, { name: 'a' })], 1);
    await writeShardReport(folder, 1, reportFor(1, [outcome(undefined, { name: 'a' })]));
    await record([outcome(undefined, { name: 'b' })], 2);
    await writeShardReport(path.join(folder, 'x', 'shard-3'), 3, reportFor(3, [failed('boom')]));
    const read = await readRecords(folder, PLAN);
    expect(read.map(({ shard, complete }) => `${shard} ${complete ? 'complete' : 'cut off'}`).toSorted()).toStrictEqual(
      ['1 complete', '2 cut off', '3 complete'],
    );
  });

  test('keeps both attempts of a shard', async () => {
    await writeShardReport(path.join(folder, 'a'), 1, reportFor(1, [failed('boom')], 1));
    await writeShardReport(path.join(folder, 'b'), 1, reportFor(1, [outcome()], 2));
    expect((await readRecords(folder, PLAN)).map(({ attempt }) => attempt).toSorted()).toStrictEqual([1, 2]);
  });

  test('does not mind other files', async () => {
    await writeFile(path.join(folder, 'plan.json'), '{}');
    await writeFile(path.join(folder, 'report-1.json'), '{"tests": 5}');
    await writeFile(path.join(folder, 'report-2.json'), 'no JSON');
    await writeFile(path.join(folder, 'outcomes-1.jsonl'), 'no JSON\n');
    await writeFile(path.join(folder, 'outcomes-x.jsonl'), 'no JSON\n');
    await mkdir(path.join(folder, 'report-3.json'));
    expect(await readRecords(folder, PLAN)).toStrictEqual([]);
  });

  test('of a folder that is not there finds nothing', async () => {
    expect(await readRecords(path.join(folder, 'nowhere'), PLAN)).toStrictEqual([]);
  });

  test('refuses what belongs to another plan', async () => {
    await record([outcome()]);
    await expect(readRecords(folder, { id: 'other' })).rejects.toThrow(
      `outcomes-1.jsonl belongs to another plan (${PLAN.id}, and not other)`,
    );
    await rm(path.join(folder, 'outcomes-1.jsonl'));
    await writeShardReport(folder, 1, reportFor(1, []));
    await expect(readRecords(folder, { id: 'other' })).rejects.toThrow('report-1.json belongs to another plan');
  });

  test.each<[string, string, string]>([
    ['a report', 'report-1.json', JSON.stringify({ ...reportFor(1, []), schemaVersion: 2 })],
    ['a report without its shard', 'report-1.json', JSON.stringify({ ...report([]), plan: { id: PLAN.id } })],
    ['a header', 'outcomes-1.jsonl', `${JSON.stringify({ schemaVersion: 2, ...headerFor(1) })}\n`],
    ['an outcome', 'outcomes-1.jsonl', `${JSON.stringify({ schemaVersion: 1, ...headerFor(1) })}\n{"status":"fine"}\n`],
  ])('refuses %s of another version', async (_, name, text) => {
    await writeFile(path.join(folder, name), text);
    await expect(readRecords(folder, PLAN)).rejects.toThrow('was written by another version of neon-fleet');
  });
});
