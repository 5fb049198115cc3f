import type { Catalog, CatalogObject } from './catalog.js';

/** One way in which a database is not what the migrations make. */
export type Difference = Readonly<{ kind: string; name: string }> &
  (
    | { readonly is: 'missing'; readonly expected: string }
    | { readonly is: 'extra'; readonly actual: string }
    | { readonly is: 'different'; readonly expected: string; readonly actual: string }
  );

/**
 * Holds a database's schema against the one that the migrations make; nothing is left over when they are equal.
 *
 * Of what is missing or extra as a whole the parts are not listed again. Extensions count only where the migrations make
 * one: servers come with some of their own.
 */
export function compareCatalogs(expected: Catalog, actual: Catalog): Difference[] {
  const wanted = byKey(expected.objects);
  const there = byKey(actual.objects);
  const missing = expected.objects.filter((object) => !there.has(keyOf(object)));
  const extra = actual.objects.filter((object) => !wanted.has(keyOf(object)) && object.kind !== 'extension');
  const different = expected.objects.flatMap((object): Difference[] => {
    const found = there.get(keyOf(object));
    if (found === undefined || found.definition === object.definition) return [];
    const { kind, name } = object;
    return [{ is: 'different', kind, name, expected: object.definition, actual: found.definition }];
  });
  return [
    ...wholes(missing).map(
      ({ kind, name, definition }) => ({ is: 'missing', kind, name, expected: definition }) as const,
    ),
    ...wholes(extra).map(({ kind, name, definition }) => ({ is: 'extra', kind, name, actual: definition }) as const),
    ...different,
  ];
}

/** Without the parts of what is in the list itself. */
function wholes(objects: readonly CatalogObject[]): CatalogObject[] {
  const names = new Set(objects.filter(({ kind }) => HOLDS_OTHERS.has(kind)).map(({ name }) => name));
  return objects.filter(({ parent }) => parent === undefined || !names.has(parent));
}

const HOLDS_OTHERS: ReadonlySet<string> = new Set(['schema', 'table', 'foreign table', 'view', 'materialized view']);

function byKey(objects: readonly CatalogObject[]): ReadonlyMap<string, CatalogObject> {
  return new Map(objects.map((object) => [keyOf(object), object]));
}

function keyOf({ kind, name }: CatalogObject): string {
  return `${kind} ${name}`;
}
