import { maskSecretInputs, type ActionContext } from '@neon-fleet/shared/actions';

import { changeBranch } from './branch.js';
import { convergeFleet } from './converge-fleet.js';
import { importFleet } from './import-fleet.js';
import { inputs, readProvisionInputs } from './inputs.js';
import { retire } from './retire/command.js';
import { rotatePasswords } from './rotate.js';
import { showStatus } from './status/command.js';
import { syncCatalog } from './sync.js';

/** The provision action: a project for each tenant, set as it should be, reachable and at the fleet's schema version. */
export async function main(context: ActionContext): Promise<void> {
  maskSecretInputs(inputs, context);
  const values = readProvisionInputs(context.readInput);
  context.stop.limit(values.timeLimit);
  switch (values.command) {
    case 'run':
    case 'plan':
    case 'apply':
      return convergeFleet(values, context);
    case 'rotate':
      return rotatePasswords(values, context);
    case 'branch':
      return changeBranch(values, context);
    case 'retire':
      return retire(values, context);
    case 'import':
      return importFleet(values, context);
    case 'sync':
      return syncCatalog(values, context);
    case 'status':
      return showStatus(values, context);
  }
}
