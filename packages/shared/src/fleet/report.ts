import { z } from 'zod';

import { compareTenants } from './order.js';
import { outcomeSchema, type Outcome, type SkipReason } from './outcome.js';
import { VERDICTS, verdictOf } from './verdict.js';

export const ACTIONS = ['provision', 'migrate', 'backup'] as const;

const countsSchema = z.object({
  total: z.int().nonnegative(),
  succeeded: z.int().nonnegative(),
  unchanged: z.int().nonnegative(),
  /** Failed and rolled back together: what somebody has to look at. */
  failed: z.int().nonnegative(),
  skipped: z.int().nonnegative(),
});

/** The machine-readable record of a run. Holds nothing secret, so that it may be kept as an artifact. */
export const fleetReportSchema = z.object({
  schemaVersion: z.literal(1),
  action: z.enum(ACTIONS),
  command: z.string(),
  verdict: z.enum(VERDICTS),
  startedAt: z.iso.datetime(),
  durationMs: z.number().nonnegative(),
  runUrl: z.string().exactOptional(),
  /** Which plan it belongs to; of one shard also which, and the attempt of the workflow run that worked on it. */
  plan: z
    .object({
      id: z.string(),
      shard: z.int().positive().exactOptional(),
      attempt: z.int().positive().exactOptional(),
    })
    .exactOptional(),
  counts: countsSchema,
  outcomes: z.array(outcomeSchema),
});

export type FleetReport = Readonly<z.infer<typeof fleetReportSchema>>;
export type Counts = Readonly<z.infer<typeof countsSchema>>;

/** Counts outcomes by what a reader wants to know first. */
export function countOutcomes(outcomes: readonly Outcome[]): Counts {
  const counts = { total: outcomes.length, succeeded: 0, unchanged: 0, failed: 0, skipped: 0 };
  for (const { status } of outcomes) counts[status === 'rolled-back' ? 'failed' : status] += 1;
  return counts;
}

/** What a report is made from. */
export interface ReportSource {
  readonly action: FleetReport['action'];
  readonly command: string;
  readonly startedAt: Date;
  readonly endedAt: Date;
  readonly outcomes: readonly Outcome[];
  readonly allowSkipped?: ReadonlySet<SkipReason>;
  readonly runUrl?: string | undefined;
  readonly plan?: FleetReport['plan'] | undefined;
}

/** Makes the report of a run: counts, verdict, and the outcomes with what needs attention first. */
export function makeReport(source: ReportSource): FleetReport {
  return {
    schemaVersion: 1,
    action: source.action,
    command: source.command,
    verdict: verdictOf(source.outcomes, source.allowSkipped),
    startedAt: source.startedAt.toISOString(),
    durationMs: Math.max(0, source.endedAt.getTime() - source.startedAt.getTime()),
    ...(source.runUrl === undefined ? {} : { runUrl: source.runUrl }),
    ...(source.plan === undefined ? {} : { plan: source.plan }),
    counts: countOutcomes(source.outcomes),
    outcomes: inOrderOfAttention(source.outcomes),
  };
}

const ATTENTION: readonly Outcome['status'][] = ['failed', 'rolled-back', 'skipped', 'succeeded', 'unchanged'];

/** Failures first, then what was left out, then the rest; within each by name. */
export function inOrderOfAttention(outcomes: readonly Outcome[]): Outcome[] {
  return outcomes.toSorted((a, b) => ATTENTION.indexOf(a.status) - ATTENTION.indexOf(b.status) || compareTenants(a, b));
}
