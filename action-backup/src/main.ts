import { maskSecretInputs, type ActionContext } from '@neon-fleet/shared/actions';

import { eraseCommand } from './commands/erase.js';
import { apply, plan, report } from './commands/fan-out.js';
import { inputs, readBackupInputs, type BackupValues, type RestoreValues } from './inputs.js';
import { listCommand } from './commands/list.js';
import { pruneCommand } from './commands/prune.js';
import { restoreMany } from './commands/restore-many.js';
import { restore } from './commands/restore.js';
import { run } from './commands/run.js';
import { verifyCommand } from './commands/verify.js';

/** The backup action: dumps every selected tenant to S3, and does what has to do with those dumps. */
export async function main(context: ActionContext): Promise<void> {
  maskSecretInputs(inputs, context);
  for (const name of ['AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN']) {
    const secret = process.env[name] ?? '';
    if (secret !== '') context.mask(secret);
  }
  const values = readBackupInputs(context.readInput);
  context.stop.limit(values.timeLimit);
  await carryOut(values, context);
}

async function carryOut(values: BackupValues, context: ActionContext): Promise<void> {
  switch (values.command) {
    case 'run':
      return run(values, context);
    case 'plan':
      return plan(values, context);
    case 'apply':
      return apply(values, context);
    case 'report':
      return report(values, context);
    case 'restore':
      return restoreOneOrMany(values, context);
    case 'verify':
      return verifyCommand(values, context);
    case 'prune':
      return pruneCommand(values, context);
    case 'list':
      return listCommand(values, context);
    case 'erase':
      return eraseCommand(values, context);
  }
}

async function restoreOneOrMany(values: RestoreValues, context: ActionContext): Promise<void> {
  const { tenants, targetUrl } = values;
  if (tenants === undefined || targetUrl === undefined) return restore(values, context);
  return restoreMany({ ...values, tenants, targetUrl }, context);
}
