import * as core from '@actions/core';
import { printable, printableLine, writeSummary, type ActionContext } from '@neon-fleet/shared/actions';

import { checkMigrations, checkProblems, refuseCredentials, renderChecks } from '../check/index.js';
import type { MigrateInputs } from '../inputs.js';

/** Checks the repository's migrations: without a database, without credentials, on code that may be anybody's. */
export async function check(values: MigrateInputs, context: ActionContext): Promise<void> {
  refuseCredentials(process.env);
  const checks = await checkMigrations({
    drizzleConfig: values.drizzleConfig,
    drizzleUrlVariable: values.drizzleUrlVariable,
    timeLimitMs: values.drizzleTimeLimit,
    cwd: process.cwd(),
    env: process.env,
    signal: context.stop.signal,
    note: (line) => core.info(printable(line)),
  });
  const problems = checkProblems(checks);
  const message =
    problems.length === 0
      ? `check succeeded: ${checks.length} ${checks.length === 1 ? 'config' : 'configs'}, nothing to object to`
      : `check failed: ${problems.join('; ')}`;
  core.setOutput('verdict', problems.length === 0 ? 'succeeded' : 'failed');
  core.setOutput('message', printableLine(message));
  await writeSummary(`${renderChecks(checks)}\n`);
  for (const problem of problems) core.error(printable(problem));
  if (problems.length === 0) core.info(printableLine(message));
  else core.setFailed(printableLine(message));
}
