import { countOutcomes, inOrderOfAttention, type Plan } from '../fleet/index.js';
import { appendixWithin } from './announce.js';
import { byteLength, cell } from './summary-rows.js';
import { renderOutcomes, SUMMARY_BYTES } from './summary.js';
import { durationWords, STATUS_SIGNS } from './words.js';

/** What carrying out a plan will cost, as far as it is known before. */
export interface PlanCost {
  /** Computes that are asleep, or may be. */
  readonly computesToWake: number;
  readonly apiCalls: number;
  /** How long these calls take at the rate that is allowed. */
  readonly apiMinutes: number;
  readonly jobs: number;
}

const LONGEST_APPENDIX = 500 * 1024;
const MOST_WAVES_SHOWN = 100;

/** The job summary of a plan: who is settled, the waves, what it will cost, and then what was settled, one by one. */
export function renderPlanSummary(plan: Plan, cost: PlanCost, appendix = ''): string {
  const below = appendixWithin(appendix, LONGEST_APPENDIX);
  const head = [
    `## 🗺️ ${plan.action}: plan, ${count(tenantsOf(plan), 'tenant')} in ${count(plan.shards.length, 'shard')}\n`,
    costLine(plan, cost),
    wavesTable(plan),
  ].join('\n');
  const maxBytes = SUMMARY_BYTES - byteLength(head) - byteLength(below);
  const settled =
    plan.settled.length === 0 ? '' : `\n${renderOutcomes(inOrderOfAttention(plan.settled), { maxBytes })}`;
  return head + settled + below;
}

/** How many tenants there is work for. */
export function tenantsOf(plan: Plan): number {
  return plan.waves.reduce((sum, { tenants }) => sum + tenants, 0);
}

function costLine(plan: Plan, { computesToWake, apiCalls, apiMinutes, jobs }: PlanCost): string {
  const parts = [
    `wakes at most ${count(computesToWake, 'compute')}`,
    `about ${count(apiCalls, 'call')} of the Neon API, ${durationWords(apiMinutes * 60_000)} at the rate allowed`,
    count(jobs, 'job'),
    `stops after more than ${count(plan.maxFailures, 'failure')}`,
  ];
  return `${parts.join(' · ')}\n`;
}

function wavesTable({ settled, waves }: Plan): string {
  const head = '<tr><th align="left">Wave</th><th align="left">Tenants</th><th align="left">Shards</th></tr>';
  const settledRow =
    settled.length === 0
      ? []
      : [`<tr><td>settled already: ${settledWords(settled)}</td><td>${number(settled.length)}</td><td></td></tr>`];
  const rows = waves
    .slice(0, MOST_WAVES_SHOWN)
    .map(
      ({ wave, name, tenants, shards }) =>
        `<tr><td>${wave}: ${cell(name, 200)}</td><td>${number(tenants)}</td><td>${span(shards)}</td></tr>`,
    );
  const more = waves.length - rows.length;
  const moreRow = more > 0 ? [`<tr><td>and ${more} more</td><td></td><td></td></tr>`] : [];
  return `<table>\n${[head, ...settledRow, ...rows, ...moreRow].join('\n')}\n</table>\n`;
}

function settledWords(settled: Plan['settled']): string {
  const counts = countOutcomes(settled);
  return (['failed', 'skipped', 'succeeded', 'unchanged'] as const)
    .filter((status) => counts[status] > 0)
    .map((status) => `${STATUS_SIGNS[status]} ${number(counts[status])} ${status}`)
    .join(', ');
}

/** Shards of a wave follow one another: `3 to 12`. */
function span(shards: readonly number[]): string {
  const [first, last] = [shards[0] ?? 0, shards.at(-1) ?? 0];
  return first === last ? `${first}` : `${first} to ${last}`;
}

function count(value: number, what: string): string {
  return `${number(value)} ${what}${value === 1 ? '' : 's'}`;
}

function number(value: number): string {
  return value.toLocaleString('en-US');
}
