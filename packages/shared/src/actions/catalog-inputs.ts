import { explain } from '../errors/index.js';
import { parseConnectionUri } from '../postgres/index.js';
import { choiceInput, textInput, type InputProblem } from './inputs.js';

/** Where the fleet's catalog is; every action that writes to it takes this. */
export const catalogInputs = {
  'catalog-url': textInput({
    description:
      'Connection URI of the catalog, a PostgreSQL database of its own (see docs/catalog.md). Not set: there is none, and everything works from the Neon API.',
    secret: true,
    accepted: 'a connection URI',
  }),
} as const;

/** Who says which tenants there are. */
export const sourceInputs = {
  source: choiceInput(['neon', 'catalog'], {
    description:
      "Where the tenants come from: `neon` lists the projects that the key sees; `catalog` takes them from `catalog-url`, with their databases and roles, without a call to Neon's API.",
    default: 'neon',
  }),
} as const;

export const catalogOutputs = {
  'catalog-replay': {
    description:
      'Path of a file with what the catalog could not be told, for `command: sync` of provision; else empty.',
    example: '/home/runner/work/_temp/neon-fleet/catalog-1f6c.json',
  },
} as const;

/** What is wrong about the inputs that have to do with the catalog. The URI itself is never shown. */
export function catalogProblems({
  catalogUrl,
  source,
  state,
}: {
  readonly catalogUrl?: string | undefined;
  readonly source?: string | undefined;
  readonly state?: string | undefined;
}): InputProblem[] {
  if (catalogUrl !== undefined) {
    const why = objectionTo(catalogUrl);
    if (why === undefined) return [];
    return [{ input: 'catalog-url', given: `a secret (${why})`, accepted: 'postgresql://user:…@host/database' }];
  }
  const needing = [...(source === 'catalog' ? ['source'] : []), ...(state === 'catalog' ? ['state'] : [])];
  return needing.map((input) => ({
    input,
    given: 'catalog without catalog-url',
    accepted: `catalog together with catalog-url, or ${input === 'source' ? 'neon' : 'none or live'}`,
  }));
}

function objectionTo(uri: string): string | undefined {
  try {
    parseConnectionUri(uri);
    return undefined;
  } catch (thrown) {
    return explain(thrown).message;
  }
}
