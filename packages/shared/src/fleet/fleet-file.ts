import { closest, distance } from 'fastest-levenshtein';
import { isMap, isNode, isPair, isScalar, LineCounter, parseDocument, type Document } from 'yaml';
import type { z } from 'zod';

import { ExplainedError } from '../errors/index.js';
import {
  fleetFileJsonSchema,
  fleetFileSchema,
  type FleetGroup,
  type FleetTenant,
  type TenantSettings,
} from './fleet-file-schema.js';
import { selectTenants } from './selection.js';

/** What a fleet file says, checked; nothing is resolved yet. */
export interface FleetFile {
  readonly defaults: TenantSettings;
  readonly groups: readonly FleetGroup[];
  readonly tenants: readonly FleetTenant[];
  /** Globs on names and ids of projects that are none of the fleet. */
  readonly ignored: readonly string[];
}

/** One thing that is wrong with a fleet file, and where. Lines and columns count from 1. */
export interface FleetFileProblem {
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

/** A fleet file cannot be used. Holds everything that is wrong with it. */
export class FleetFileError extends ExplainedError {
  constructor(
    file: string,
    readonly problems: readonly FleetFileProblem[],
  ) {
    const shown = problems.slice(0, MOST_SHOWN).map((problem) => {
      return `  ${file}:${problem.line}:${problem.column}: ${problem.message}`;
    });
    const more = problems.length > shown.length ? [`  and ${problems.length - shown.length} more`] : [];
    super({ message: `${file} cannot be used; nothing was done.\n${[...shown, ...more].join('\n')}` });
    this.name = 'FleetFileError';
  }
}

const MOST_SHOWN = 20;
const MOST_ALIASES = 1_000;

type Path = readonly PropertyKey[];

/**
 * Reads the text of a fleet file.
 *
 * @param file its name, for messages.
 * @throws FleetFileError with every problem, each with line and column.
 */
export function parseFleetFile(text: string, file = 'fleet.yml'): FleetFile {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true, version: '1.2', prettyErrors: false });
  const at = (offset: number, message: string): FleetFileProblem => {
    const { line, col } = lines.linePos(offset);
    return { line, column: col, message };
  };
  if (document.errors.length > 0) {
    const problems = document.errors.map(({ pos, code, message }) => {
      return at(pos[0], code === 'DUPLICATE_KEY' ? 'this key is there twice' : message.replace(/\s+/g, ' '));
    });
    throw new FleetFileError(file, problems);
  }

  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: MOST_ALIASES });
  } catch (thrown) {
    // An alias that nothing is behind, or more of them than anybody writes by hand.
    throw new FleetFileError(file, [at(0, thrown instanceof Error ? thrown.message : 'it cannot be read')]);
  }
  const parsed = fleetFileSchema.safeParse(value ?? {});
  if (!parsed.success) {
    const problems = parsed.error.issues.flatMap(problemsOf);
    throw new FleetFileError(
      file,
      problems.map(({ path, key, message }) => at(offsetOf(document, path, key), message)),
    );
  }
  const { defaults = {}, groups = [], tenants = [], ignored = [] } = parsed.data;
  const contradictions = contradictionsOf(tenants, ignored);
  if (contradictions.length > 0) {
    const problems = contradictions.map(({ path, message, first }) => {
      const where = first === undefined ? '' : `, as on line ${at(offsetOf(document, first), '').line}`;
      return at(offsetOf(document, path), message + where);
    });
    throw new FleetFileError(file, problems);
  }
  return { defaults, groups, tenants, ignored };
}

interface Contradiction {
  readonly path: Path;
  readonly message: string;
  readonly first?: Path;
}

/** What no single entry can know: that another one has the same key, name or id, or that a glob takes it out again. */
function contradictionsOf(tenants: readonly FleetTenant[], ignored: readonly string[]): Contradiction[] {
  const found: Contradiction[] = [];
  const seen = new Map<string, Path>();
  const once = (kind: string, value: string, given: string, path: Path) => {
    const first = seen.get(`${kind} ${value}`);
    if (first === undefined) seen.set(`${kind} ${value}`, path);
    else found.push({ path, first, message: `the ${kind} ${JSON.stringify(given)} is there twice` });
  };
  for (const [index, { key, name = key, 'project-id': projectId }] of tenants.entries()) {
    const nameAt = tenants[index]?.name === undefined ? 'key' : 'name';
    // The catalog does not tell keys apart by case, and people should not have to either.
    once('key', key.toLowerCase(), key, ['tenants', index, 'key']);
    once('name', name, name, ['tenants', index, nameAt]);
    if (projectId !== undefined) once('project-id', projectId, projectId, ['tenants', index, 'project-id']);
  }
  const selectable = tenants.map((tenant, index) => ({
    key: tenant.key,
    name: tenant.name ?? tenant.key,
    projectId: tenant['project-id'] ?? '',
    index,
  }));
  for (const [at, glob] of ignored.entries()) {
    for (const { index, key } of selectTenants(selectable, [glob]).selected) {
      const message = `${JSON.stringify(glob)} also takes out the tenant ${JSON.stringify(key)}`;
      found.push({ path: ['ignored', at], message, first: ['tenants', index, 'key'] });
    }
  }
  return found;
}

interface Located {
  readonly path: Path;
  /** The problem is about a key at that path rather than about the value there. */
  readonly key?: string;
  readonly message: string;
}

function problemsOf(issue: z.core.$ZodIssue): Located[] {
  const { path } = issue;
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ path, key, message: unknownKey(key, path) }));
  }
  if (issue.code === 'invalid_union' && !hasOwnWords(issue.message)) {
    // The form that came furthest is the one that was meant.
    const [best] = issue.errors
      .map((issues) => issues.flatMap((inner) => problemsOf({ ...inner, path: [...path, ...inner.path] })))
      .toSorted((a, b) => depth(b) - depth(a) || a.length - b.length);
    if (best !== undefined && best.length > 0) return best;
  }
  return [{ path, message: `${placeWords(path)}${wordsOf(issue)}` }];
}

const hasOwnWords = (message: string) => message !== 'Invalid input';
const depth = (problems: readonly Located[]) => Math.max(0, ...problems.map(({ path }) => path.length));

function wordsOf(issue: z.core.$ZodIssue): string {
  if (issue.code === 'invalid_type' && issue.message.startsWith('Invalid input: expected ')) {
    return `expected ${KINDS[issue.expected] ?? issue.expected}`;
  }
  if (issue.code === 'invalid_value') return `expected one of ${issue.values.map(String).join(', ')}`;
  return `expected ${issue.message}`;
}

const KINDS: Readonly<Record<string, string>> = {
  object: 'keys with values',
  array: 'a list (lines that begin with -)',
  string: 'a text',
  boolean: 'true or false',
  number: 'a number',
};

function placeWords(path: Path): string {
  const last = path.at(-1);
  return typeof last === 'string' ? `${last}: ` : '';
}

function unknownKey(key: string, path: Path): string {
  const known = knownKeys(path);
  const nearest = known.length === 0 ? undefined : closest(key, known);
  const near = nearest !== undefined && distance(key, nearest) <= Math.max(2, Math.floor(nearest.length / 2));
  const advice = near ? `; did you mean ${nearest}?` : known.length === 0 ? '' : `; known are ${known.join(', ')}`;
  return `unknown key ${JSON.stringify(key)}${advice}`;
}

/** The keys that the definition allows at a path. */
function knownKeys(path: Path): string[] {
  let places: unknown[] = [fleetFileJsonSchema()];
  for (const part of path) {
    places = places.flatMap(alternatives).flatMap((place) => {
      const next = typeof part === 'number' ? get(place, 'items') : get(get(place, 'properties'), String(part));
      return next === undefined ? [] : [next];
    });
  }
  const keys = places.flatMap(alternatives).flatMap((place) => Object.keys(Object(get(place, 'properties')) as object));
  return [...new Set(keys)];
}

function alternatives(schema: unknown): unknown[] {
  const options = get(schema, 'anyOf');
  return Array.isArray(options) ? options.flatMap(alternatives) : [schema];
}

function get(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined;
}

/** Where in the text a value is, or a key of the map that it is; the nearest place above when it is not there. */
function offsetOf(document: Document, path: Path, key?: string): number {
  for (let length = path.length; length >= 0; length -= 1) {
    const node: unknown = length === 0 ? document.contents : document.getIn(path.slice(0, length), true);
    if (!isNode(node)) continue;
    if (key !== undefined && isMap(node)) {
      const pair = node.items.find((item) => isPair(item) && isScalar(item.key) && String(item.key.value) === key);
      if (isScalar(pair?.key) && pair.key.range) return pair.key.range[0];
    }
    if (node.range) return node.range[0];
  }
  return 0;
}
