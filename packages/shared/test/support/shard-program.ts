// One job of a matrix, as a process of its own: works through a shard of a plan as the environment says, and writes down
// whom it touched. Started by the tests of shards that really run at the same time.
import { appendFileSync, existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { applyShard, attemptOf, countInCatalog, listenForStop, tellRun } from '../../src/actions/index.js';
import { readPlan, readRecords } from '../../src/fleet/index.js';

function setting(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
}

function names(name: string): ReadonlySet<string> {
  return new Set(setting(name).split(' '));
}

const shard = Number(setting('SHARD'));
const folder = setting('MEETING_PLACE');
const shards = setting('MEETING').split(' ').filter(Boolean);
const [failing, hanging] = [names('FAILING'), names('HANGING')];

const waitFor = process.env['WAIT_FOR'];

/** Nobody begins before all are there: these jobs run at the same time, and not one after the other by chance. */
async function meet(): Promise<void> {
  writeFileSync(path.join(folder, `here-${shard}`), '');
  while (!shards.every((other) => existsSync(path.join(folder, `here-${other}`)))) await delay(5);
}

await meet();
const plan = await readPlan(setting('PLAN'));
const { id: planId, maxFailures } = plan;
const catalogUrl = process.env['CATALOG_URL'];
const stop = listenForStop(process);
const budget = { planId, maxFailures, shard, attempt: attemptOf(process.env) };
await using fleet = catalogUrl === undefined ? undefined : countInCatalog(catalogUrl, budget, stop.signal);
const report = await applyShard({
  plan,
  shard,
  previousRecords: await readRecords(setting('REPORTS'), plan),
  startedAt: new Date(),
  concurrency: Number(setting('CONCURRENCY')),
  signal: stop.signal,
  fleet,
  work: async ({ name }) => {
    appendFileSync(path.join(folder, `touched-${shard}`), `${name}\n`);
    if (hanging.has(name)) await delay(3_600_000);
    while (waitFor !== undefined && !existsSync(waitFor)) await delay(5);
    await delay(2);
    if (failing.has(name) || failing.has('*')) throw new Error(`${name} is poisoned`);
    return { status: 'succeeded', detail: 'done' };
  },
});
const { tenants } = plan.shards.find((each) => each.shard === shard) ?? { tenants: [] };
await tellRun(report, { catalogUrl, tenants, signal: stop.signal });
