import { closeSync, existsSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import path from 'node:path';

import { z } from 'zod';

import { ExplainedError, systemCode } from '../errors/index.js';
import { outcomeSchema, type Outcome } from './outcome.js';
import type { Plan } from './plan.js';
import { ACTIONS, fleetReportSchema, type FleetReport } from './report.js';
import { writeWhole } from './write-whole.js';

const headerSchema = z.object({
  schemaVersion: z.literal(1),
  planId: z.string(),
  action: z.enum(ACTIONS),
  shard: z.int().positive(),
  /** Which attempt of the workflow run it was, from 1. */
  attempt: z.int().positive(),
  startedAt: z.iso.datetime(),
});

/** The first line of a shard's running record. */
export type RecordHeader = Readonly<z.infer<typeof headerSchema>>;

/** What one attempt on one shard left behind. */
export interface ShardRecord extends RecordHeader {
  readonly outcomes: readonly Outcome[];
  /** Whether it came to its end; else its job was killed, or is still at work. */
  readonly complete: boolean;
}

/** Keeps what becomes known, so that it is there whatever happens to the process. */
export interface Recorder {
  /** Appends one outcome; it is in the file when this returns. @throws when the file cannot be written. */
  add(outcome: Outcome): void;
  close(): void;
}

/**
 * Begins the running record of a shard in a folder of its own: a header, then what was carried over, then one outcome a
 * line. A record that an earlier attempt left at the same place is kept beside it.
 */
export async function openRecorder(
  folder: string,
  header: Omit<RecordHeader, 'schemaVersion'>,
  carriedOver: readonly Outcome[] = [],
): Promise<Recorder> {
  await mkdir(folder, { recursive: true });
  const file = path.join(folder, `outcomes-${header.shard}.jsonl`);
  setAside(file, header.planId);
  const lines = [{ schemaVersion: 1, ...header } satisfies RecordHeader, ...carriedOver];
  await writeWhole(file, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  const descriptor = openSync(file, 'a');
  let torn = false;
  return {
    add(outcome) {
      // After a write that failed half-way the next outcome begins a line of its own.
      const line = `${torn ? '\n' : ''}${JSON.stringify(outcome)}\n`;
      torn = true;
      writeAll(descriptor, Buffer.from(line));
      torn = false;
    },
    close: () => closeSync(descriptor),
  };
}

function writeAll(descriptor: number, bytes: Buffer): void {
  for (let written = 0; written < bytes.length;) written += writeSync(descriptor, bytes, written);
}

/** A runner of one's own may keep its folder from one attempt to the next, or to another plan. */
function setAside(file: string, planId: string): void {
  const header = headerOf(file);
  if (header === 'no file') return;
  if (header?.planId !== planId) {
    rmSync(file);
    return;
  }
  let number = 1;
  const kept = () => file.replace(/\.jsonl$/, `.${number}.jsonl`);
  while (existsSync(kept())) number += 1;
  renameSync(file, kept());
}

function headerOf(file: string): RecordHeader | undefined | 'no file' {
  try {
    const [line = ''] = readFileSync(file, 'utf8').split('\n', 1);
    return headerSchema.safeParse(parseLine(line)).data;
  } catch (thrown) {
    if (systemCode(thrown) === 'ENOENT') return 'no file';
    throw thrown;
  }
}

/** Writes the report of a shard beside its running record, and returns where. */
export async function writeShardReport(folder: string, shard: number, report: FleetReport): Promise<string> {
  const file = path.join(folder, `report-${shard}.json`);
  await writeWhole(file, `${JSON.stringify(report, null, 2)}\n`);
  return file;
}

const OUTCOMES_FILE = /^outcomes-\d+(?:\.\d+)?\.jsonl$/;
const REPORT_FILE = /^report-\d+\.json$/;

/**
 * Reads what the shards of a plan left in a folder and the folders in it: reports, and the running records of those that
 * did not come to an end. Other files do not matter; a folder that is not there holds nothing.
 *
 * @throws ExplainedError when something belongs to another plan, or to another version of neon-fleet.
 */
export async function readRecords(folder: string, plan: Pick<Plan, 'id'>): Promise<ShardRecord[]> {
  const files = await filesIn(folder);
  const records: ShardRecord[] = [];
  const reported = new Set<string>();
  for (const file of files.filter((name) => REPORT_FILE.test(path.basename(name)))) {
    const record = readReport(await readFile(file, 'utf8'), file, plan.id);
    if (record === undefined) continue;
    records.push(record);
    reported.add(runOf(record));
  }
  for (const file of files.filter((name) => OUTCOMES_FILE.test(path.basename(name)))) {
    const record = readOutcomes(await readFile(file, 'utf8'), file, plan.id);
    // The report of the same run says all of it.
    if (record !== undefined && !reported.has(runOf(record))) records.push(record);
  }
  return records;
}

function runOf({ shard, attempt, startedAt }: ShardRecord): string {
  return `${shard} ${attempt} ${startedAt}`;
}

async function filesIn(folder: string): Promise<string[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    const inside = entries.map(async (entry) => {
      const place = path.join(folder, entry.name);
      if (entry.isDirectory()) return filesIn(place);
      return entry.isFile() ? [place] : [];
    });
    return (await Promise.all(inside)).flat().toSorted();
  } catch (thrown) {
    if (systemCode(thrown) === 'ENOENT') return [];
    throw new ExplainedError({ message: `the records in ${folder} cannot be read` }, { cause: thrown });
  }
}

const planIdSchema = z.object({ plan: z.object({ id: z.string() }) });

function readReport(text: string, file: string, planId: string): ShardRecord | undefined {
  const given = parseLine(text);
  const id = planIdSchema.safeParse(given).data?.plan.id;
  // Other tools write files of that name too.
  if (id === undefined) return undefined;
  requireSamePlan(id, planId, file);
  const report = fleetReportSchema.safeParse(given).data;
  const { shard, attempt } = report?.plan ?? {};
  if (report === undefined || shard === undefined || attempt === undefined) throw unreadable(file);
  const { action, startedAt, outcomes } = report;
  return { schemaVersion: 1, planId: id, action, shard, attempt, startedAt, outcomes, complete: true };
}

function readOutcomes(text: string, file: string, planId: string): ShardRecord | undefined {
  const [first = '', ...lines] = text.split('\n');
  const given = parseLine(first);
  const id = z.object({ planId: z.string() }).safeParse(given).data?.planId;
  if (id === undefined) return undefined;
  requireSamePlan(id, planId, file);
  const header = headerSchema.safeParse(given).data;
  if (header === undefined) throw unreadable(file);
  const outcomes = lines.flatMap((line) => {
    const parsed = parseLine(line);
    // A line that was cut off when its process was killed, or the disk was full, says nothing.
    if (parsed === undefined) return [];
    const outcome = outcomeSchema.safeParse(parsed);
    if (!outcome.success) throw unreadable(file);
    return [outcome.data];
  });
  return { ...header, outcomes, complete: false };
}

/** Undefined for what is no whole JSON. */
function parseLine(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

function requireSamePlan(id: string, planId: string, file: string): void {
  if (id === planId) return;
  throw new ExplainedError({
    message: `${file} belongs to another plan (${id}, and not ${planId})`,
    hint: 'Download only the reports of this workflow run, into a folder that holds nothing else.',
  });
}

function unreadable(file: string): ExplainedError {
  return new ExplainedError({
    message: `${file} cannot be read: it was written by another version of neon-fleet, or changed since`,
    hint: 'Use the same version of neon-fleet for plan, apply and report.',
  });
}
