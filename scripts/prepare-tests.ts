// Gets what the tests need and a fresh machine may lack, once and before they run side by side: PostgreSQL's client
// programs, in the way the backup action itself gets them, and the Node that GitHub runs actions with.
import { openClientFinder } from '@neon-fleet/shared/postgres';

import { hasPackagedNode24, node24 } from '../test/support/node24.js';

/** The major version of the server that the tests start at least: the one of the npm package. */
const OLDEST_SERVER = 15;

const clients = openClientFinder({ env: process.env, onNote: (line) => console.log(line) });
await clients.forServer(OLDEST_SERVER);
if (hasPackagedNode24) await node24();
