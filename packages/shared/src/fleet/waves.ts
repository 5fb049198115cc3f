import { ExplainedError } from '../errors/index.js';
import { compareTenants } from './order.js';
import { shareOf } from './percent.js';
import { isExclusion, selectTenants, type Selectable } from './selection.js';

/** One step of a rollout, as it was asked for. Numbers and percentages count those of the waves before it too. */
export type WaveSpec =
  | { readonly kind: 'names'; readonly patterns: readonly string[] }
  | { readonly kind: 'count'; readonly count: number }
  | { readonly kind: 'percent'; readonly percent: number };

/** The tenants that are worked on before anybody of the next wave is. */
export interface Wave<T> {
  /** Its number, from 1. */
  readonly wave: number;
  /** As it was asked for: `canary-*`, `1`, `10%`. */
  readonly name: string;
  readonly tenants: readonly T[];
}

export const WAVES_FORM =
  'growing numbers or percentages such as 1, 1%, 10%, 100%; in front of them names or globs, those on one line being one wave';

/**
 * Reads a list of waves, separated by commas or line breaks. Names and globs come first: those beside each other on one
 * line make one wave. What is left after the last entry is a wave of its own, so that everybody is in one.
 *
 * @throws ExplainedError when an entry can never hold anybody or stands where it cannot.
 */
export function parseWaves(text: string): WaveSpec[] {
  const specs: WaveSpec[] = [];
  for (const line of text.split('\n')) {
    let names: readonly string[] = [];
    for (const entry of line.split(',').map((part) => part.trim())) {
      if (entry === '') continue;
      const size = sizeOf(entry);
      if (size !== undefined) {
        requireGrowth(specs.at(-1), size, entry);
        specs.push(size);
        continue;
      }
      if (specs.some(({ kind }) => kind !== 'names')) throw wrong(`${quoted(entry)} stands behind a number`);
      if (names.length > 0) specs.pop();
      names = [...names, entry];
      specs.push({ kind: 'names', patterns: names });
    }
  }
  for (const spec of specs) {
    if (spec.kind === 'names' && spec.patterns.every(isExclusion))
      throw wrong(`${quoted(nameOf(spec))} selects nobody`);
  }
  const last = specs.at(-1);
  return last?.kind === 'percent' && last.percent === 100 ? specs : [...specs, { kind: 'percent', percent: 100 }];
}

function sizeOf(entry: string): Exclude<WaveSpec, { kind: 'names' }> | undefined {
  const [, number, sign] = /^(\d{1,9}(?:\.\d{1,3})?)\s*(%?)$/.exec(entry) ?? [];
  if (number === undefined) return undefined;
  const value = Number(number);
  if (value === 0) throw wrong(`${quoted(entry)} is nobody`);
  if (sign === '%') {
    if (value > 100) throw wrong(`${quoted(entry)} is more than everybody`);
    return { kind: 'percent', percent: value };
  }
  if (!Number.isInteger(value)) throw wrong(`${quoted(entry)} is no number of tenants`);
  return { kind: 'count', count: value };
}

function requireGrowth(before: WaveSpec | undefined, next: WaveSpec, entry: string): void {
  if (before?.kind === 'percent' && before.percent === 100) throw wrong(`${quoted(entry)} stands behind 100%`);
  // A number beside a percentage can only be compared once the size of the fleet is known.
  const shrinks =
    (before?.kind === 'percent' && next.kind === 'percent' && next.percent <= before.percent) ||
    (before?.kind === 'count' && next.kind === 'count' && next.count <= before.count);
  if (shrinks)
    throw wrong(`${quoted(entry)} is not more than ${nameOf(before)} in front of it, and each counts all so far`);
}

function wrong(what: string): ExplainedError {
  return new ExplainedError({ message: `waves: ${what}`, hint: `Accepted are ${WAVES_FORM}.` });
}

function quoted(text: string): string {
  return JSON.stringify(text);
}

function nameOf(spec: WaveSpec): string {
  if (spec.kind === 'names') return spec.patterns.join(', ');
  return spec.kind === 'count' ? String(spec.count) : `${spec.percent}%`;
}

/**
 * Puts every tenant into exactly one wave. Within the fleet the order is that of names, so that the same fleet gives the
 * same waves whatever order it was listed in. Waves that nobody is left for are dropped.
 *
 * @param alsoKnown those that were selected and need no work: a name of theirs is no mistake, and its wave may be empty.
 * @throws ExplainedError when a name or glob matches nobody: the canary that a typing mistake removes must be missed.
 */
export function assignWaves<T extends Selectable & { readonly database: string }>(
  tenants: readonly T[],
  specs: readonly WaveSpec[],
  alsoKnown: readonly Selectable[] = [],
): Wave<T>[] {
  const waves: Wave<T>[] = [];
  let left = tenants.toSorted(compareTenants);
  for (const spec of specs) {
    const chosen =
      spec.kind === 'names' ? named(tenants, left, spec.patterns, alsoKnown) : upTo(spec, tenants.length, left);
    if (chosen.length === 0) continue;
    waves.push({ wave: waves.length + 1, name: nameOf(spec), tenants: chosen });
    const taken = new Set(chosen);
    left = left.filter((tenant) => !taken.has(tenant));
  }
  return waves;
}

function named<T extends Selectable>(
  all: readonly T[],
  left: readonly T[],
  patterns: readonly string[],
  alsoKnown: readonly Selectable[],
): readonly T[] {
  const { selected, unmatched: notHere } = selectTenants(all, patterns);
  const unmatched = notHere.filter((pattern) => selectTenants(alsoKnown, [pattern]).selected.length === 0);
  if (unmatched.length > 0) {
    throw new ExplainedError({
      message: `waves: no selected tenant matches ${unmatched.map(quoted).join(', ')}; nothing was done`,
      hint: 'A name in waves is compared with the name and the id of each tenant that the input tenants selects.',
    });
  }
  const chosen = new Set(selected);
  return left.filter((tenant) => chosen.has(tenant));
}

function upTo<T>(spec: Exclude<WaveSpec, { kind: 'names' }>, total: number, left: readonly T[]): readonly T[] {
  const target = spec.kind === 'count' ? spec.count : shareOf(total, spec.percent, 'up');
  return left.slice(0, Math.max(0, target - (total - left.length)));
}
