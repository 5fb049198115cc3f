import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { ROOT } from '../scripts/actions.js';

/** One line of a benchmark: a figure, and what it has to be. */
export interface Measurement {
  readonly id: string;
  /** What was measured against what, in a few words. */
  readonly what: string;
  readonly value: number;
  /** `×` for a ratio of two sides measured in the same run. */
  readonly unit: string;
  /** What was asked for, such as `≥ 40`. */
  readonly target: string;
  readonly holds: boolean;
}

/** A bound that a figure has to keep. */
export interface Target {
  readonly at: 'least' | 'most';
  readonly bound: number;
}

/** Holds a figure against its target. */
export function measured(id: string, what: string, value: number, unit: string, { at, bound }: Target): Measurement {
  const holds = at === 'least' ? value >= bound : value <= bound;
  return { id, what, value: rounded(value), unit, target: `${at === 'least' ? '≥' : '≤'} ${bound}`, holds };
}

/** The middle of several runs: one slow run on a shared machine says nothing. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const [low, high] = [sorted[middle - 1], sorted[middle]];
  if (high === undefined) throw new Error('the median of nothing');
  return sorted.length % 2 === 1 || low === undefined ? high : (low + high) / 2;
}

/** Measures groups one after the other in a folder of their own and publishes them; `only` narrows it to those named. */
export async function runGroups(
  name: string,
  groups: Readonly<Record<string, (folder: string) => Promise<Measurement[]>>>,
  only: readonly string[],
): Promise<void> {
  // Inside the checkout, where drizzle-kit and drizzle-orm are found as in a user's own repository.
  const folder = await mkdtemp(path.join(ROOT, '.neon-fleet-bench-'));
  const rows: Measurement[] = [];
  try {
    for (const [group, measure] of Object.entries(groups)) {
      if (only.length > 0 && !only.includes(group)) continue;
      rows.push(...(await measure(folder)));
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  await publish(name, rows);
}

/** Prints the figures as a table and keeps them in `bench/results/<name>.json`. */
export async function publish(name: string, rows: readonly Measurement[]): Promise<void> {
  const cells = rows.map(({ what, value, unit, target, holds }) => [
    what,
    `${value} ${unit}`,
    `${target} ${unit}`,
    holds ? 'yes' : 'NO',
  ]);
  const table = [['what', 'measured', 'target', 'holds'], ...cells];
  const widths = [0, 1, 2, 3].map((column) => Math.max(...table.map((row) => row[column]?.length ?? 0)));
  console.log();
  for (const row of table) console.log(row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  '));
  const folder = path.join(ROOT, 'bench', 'results');
  await mkdir(folder, { recursive: true });
  const file = path.join(folder, `${name}.json`);
  const earlier = await readFile(file, 'utf8').then(
    (text) => JSON.parse(text) as Measurement[],
    () => [],
  );
  // What was not measured this time stays, so that a part can be measured again by itself.
  const ids = new Set(rows.map(({ id }) => id));
  const all = [...earlier.filter(({ id }) => !ids.has(id)), ...rows].toSorted((a, b) => (a.id < b.id ? -1 : 1));
  await writeFile(file, `${JSON.stringify(all, null, 2)}\n`);
}

function rounded(value: number): number {
  return Number(value.toPrecision(3));
}
