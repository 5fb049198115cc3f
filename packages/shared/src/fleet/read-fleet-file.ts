import { readFile } from 'node:fs/promises';

import { explain, ExplainedError } from '../errors/index.js';
import { parseFleetFile } from './fleet-file.js';
import { resolveFleet } from './fleet-file-resolve.js';
import type { Fleet } from './members.js';

/**
 * Reads a fleet file and resolves everybody in it.
 *
 * @throws FleetFileError with everything that is wrong with it, and ExplainedError when it is not there or contradicts
 *   itself.
 */
export async function readFleetFile(path: string): Promise<Fleet> {
  const text = await readFile(path, 'utf8').catch((thrown: unknown) => {
    throw new ExplainedError({
      message: `fleet-file: ${JSON.stringify(path)} cannot be read: ${explain(thrown).message}; nothing was done`,
      hint: 'Is the repository checked out, and the path right? `command: import` of provision writes a file to begin with.',
    });
  });
  const file = parseFleetFile(text, path);
  return { members: resolveFleet(file), ignored: file.ignored };
}
