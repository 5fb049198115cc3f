import { runAction } from '@neon-fleet/shared/actions';

import { main } from './main.js';

await runAction('migrate', main);
