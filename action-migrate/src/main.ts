import { maskSecretInputs, type ActionContext } from '@neon-fleet/shared/actions';

import { apply } from './commands/apply.js';
import { assertAtLeast } from './commands/assert.js';
import { baseline } from './commands/baseline.js';
import { check } from './commands/check.js';
import { plan } from './commands/plan.js';
import { report } from './commands/report.js';
import { run } from './commands/run.js';
import { undo } from './commands/undo.js';
import { inputs, readMigrateInputs } from './inputs.js';

/** The migrate action: rolls the migrations of a folder out to every selected tenant. */
export async function main(context: ActionContext): Promise<void> {
  maskSecretInputs(inputs, context);
  const values = readMigrateInputs(context.readInput);
  context.stop.limit(values.timeLimit);
  switch (values.command) {
    case 'run':
      return values.dryRun === true ? plan(values, context) : run(values, context);
    case 'plan':
      return plan(values, context);
    case 'apply':
      return apply(values, context);
    case 'report':
      return report(values, context);
    case 'assert':
      return assertAtLeast(values, context);
    case 'baseline':
      return baseline(values, context);
    case 'check':
      return check(values, context);
    case 'undo':
      return undo(values, context);
  }
}
