// A process that looks whether one database could be adopted, to be killed. What it is to do comes in the environment
// variable JOB.
import { DRIZZLE_TABLE, readMigrations } from '@neon-fleet/shared/drizzle';
import { trustedAuthorities } from '@neon-fleet/shared/postgres';

import { baselineDatabase, openReferences } from '../../src/baseline/index.js';

/** What such a process is told. */
export interface BaselineJob {
  readonly uri: string;
  readonly migrations: string;
  readonly scratchUrl?: string | undefined;
}

const { uri, migrations, scratchUrl } = JSON.parse(process.env['JOB'] ?? '') as BaselineJob;
const folder = await readMigrations(migrations);
const at = folder.migrations.at(-1);
if (at === undefined) throw new Error('there is no migration');
const scope = { table: DRIZZLE_TABLE, ignoredSchemas: [] };
const common = {
  folder,
  at,
  scope,
  statementTimeoutMs: 3_600_000,
  authorities: await trustedAuthorities(process.env),
  signal: new AbortController().signal,
};
await baselineDatabase(uri, {
  ...common,
  references: openReferences({ ...common, scratchUrl }),
  dryRun: true,
  lockWaitMs: 60_000,
  lockTimeoutMs: 5_000,
  note: () => undefined,
});
