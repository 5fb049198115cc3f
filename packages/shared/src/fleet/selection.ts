import picomatch from 'picomatch';

import { ExplainedError } from '../errors/index.js';

/** What a pattern is tried against. */
export interface Selectable {
  readonly key: string;
  readonly name: string;
  readonly projectId: string;
}

/** A selection made over a fleet, and the patterns that selected nothing. */
export interface SelectionResult<T> {
  readonly selected: readonly T[];
  /** Patterns (without `!`) that matched nothing: a typing mistake must not pass as an empty, green run. */
  readonly unmatched: readonly string[];
}

/**
 * Applies a list of globs to a fleet: a tenant is selected when any pattern matches its key, name or project id and no
 * pattern that begins with `!` does. There is no silent everything: a list of exclusions alone selects nothing.
 *
 * A pattern that is literally a key, name or id matches it even when it contains glob characters; `*` crosses slashes,
 * since names are not paths.
 */
export function selectTenants<T extends Selectable>(
  fleet: readonly T[],
  patterns: readonly string[],
): SelectionResult<T> {
  const excludes = patterns.filter(isExclusion).map((pattern) => matcher(pattern.slice(1).trim()));
  const includes = patterns.filter((pattern) => !isExclusion(pattern));

  const chosen = new Set<T>();
  const unmatched: string[] = [];
  for (const pattern of includes) {
    const matching = fleet.filter(matcher(pattern));
    if (matching.length === 0) unmatched.push(pattern);
    for (const tenant of matching) chosen.add(tenant);
  }
  return {
    selected: fleet.filter((tenant) => chosen.has(tenant) && !excludes.some((excluded) => excluded(tenant))),
    unmatched,
  };
}

/** Exclusions that take nobody out. */
export interface IdleExclusions {
  /** A name or an id, spelled out: a typing mistake, or somebody who is there no more. */
  readonly spelledOut: readonly string[];
  /** With a star or the like: may well be a mistake, and may be meant for those that come and go. */
  readonly globs: readonly string[];
}

/** Finds the exclusions that match nobody of a fleet: with one that is misspelled, somebody takes part who must not. */
export function findIdleExclusions(fleet: readonly Selectable[], patterns: readonly string[]): IdleExclusions {
  const idle = patterns.filter((pattern) => isExclusion(pattern) && !fleet.some(matcher(pattern.slice(1).trim())));
  return {
    spelledOut: idle.filter((pattern) => !GLOB_CHARACTER.test(pattern)),
    globs: idle.filter((pattern) => GLOB_CHARACTER.test(pattern)),
  };
}

/** Where a selection is made, in the words of its errors. */
export interface SelectionPlace {
  /** What is selected: a project, a tenant. */
  readonly what: string;
  /** Comes before the names that there are. */
  readonly sees: string;
  /** Said when there is nobody at all. */
  readonly nobody: string;
}

/** Patterns that match nobody, or exclusions that take nobody out. */
export function nothingMatches(
  patterns: readonly string[],
  fleet: readonly Selectable[],
  { what, sees, nobody }: SelectionPlace,
): ExplainedError {
  const names = fleet.slice(0, 10).map(({ name, projectId }) => `${JSON.stringify(name)} (${projectId})`);
  const more = fleet.length > names.length ? `, and ${fleet.length - names.length} more` : '';
  return new ExplainedError({
    message: `tenants: no ${what} matches ${patterns.map((pattern) => JSON.stringify(pattern)).join(', ')}; nothing was done`,
    hint:
      fleet.length === 0
        ? nobody
        : `A pattern is compared with the name and the id of each project. ${sees} ${names.join(', ')}${more}.`,
  });
}

/** The exclusions leave nobody. */
export function nobodyLeft(): ExplainedError {
  return new ExplainedError({
    message: 'tenants: the patterns select nobody; nothing was done',
    hint: "A line with ! only takes out of what other lines select. To mean all the others, write '*' as well.",
  });
}

const GLOB_CHARACTER = /[*?[{]/;

/** Whether a pattern takes tenants out rather than in. */
export function isExclusion(pattern: string): boolean {
  return pattern.startsWith('!');
}

const LONGEST_GLOB = 1_000; // picomatch throws at 65,536; a name has at most 256 characters

function matcher(pattern: string): (tenant: Selectable) => boolean {
  const matches = isGlob(pattern) ? picomatch(withoutGroups(pattern), PICOMATCH_OPTIONS) : () => false;
  return ({ key, name, projectId }) =>
    [key, name, projectId].some((text) => text === pattern || (text !== '' && matches(text)));
}

// `bash` lets a star match slashes, `s` line breaks: a name is not a path, and it is hostile input.
const PICOMATCH_OPTIONS = { bash: true, dot: true, nonegate: true, noextglob: true, windows: false, flags: 's' };

function isGlob(pattern: string): boolean {
  return pattern !== '' && pattern.length <= LONGEST_GLOB;
}

/**
 * picomatch hands parentheses and bars on to the regular expression as groups, and takes quotes and a leading `./` away;
 * names contain all of them, and a group with a plus in it can take for ever, as can many stars in a row.
 */
function withoutGroups(pattern: string): string {
  return pattern.replace(/(\\[\s\S])|(\*)\*+|[()|+@"]|^\.(?=\/)/g, (text, escaped?: string, star?: string) => {
    return escaped ?? star ?? `\\${text}`;
  });
}
