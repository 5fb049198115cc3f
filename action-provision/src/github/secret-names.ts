import { createHash } from 'node:crypto';

import { ExplainedError } from '@neon-fleet/shared/errors';
import type { DesiredTenant } from '@neon-fleet/shared/fleet';

/** Makes the name of each tenant's secret out of its key. */
export const AUTO = 'auto';

const SUFFIX = '_DATABASE_URL';
/** Longer keys are cut, with a fingerprint of the whole in place of the rest. */
const LONGEST_KEY = 100;

/**
 * The name of the secret of a key, as GitHub takes it: letters, digits and `_`, not beginning with a digit or `GITHUB_`.
 *
 * @throws ExplainedError when the key has no letter or digit that a name could be made of.
 */
export function secretNameOf(key: string): string {
  const words = key
    .normalize('NFKD')
    .replace(/\p{Mark}/gu, '')
    .replace(/[^A-Za-z0-9]+/g, '_')
    .replace(/^_+|_+$/g, '')
    .toUpperCase();
  if (words === '') {
    throw new ExplainedError({
      message: `github-secret: no name of a secret can be made of ${JSON.stringify(key)}; nothing was done`,
      hint: 'Give the tenant a key of letters and digits.',
    });
  }
  const short = words.length <= LONGEST_KEY ? words : `${words.slice(0, LONGEST_KEY - 9)}_${fingerprint(key)}`;
  return `${/^(\d|GITHUB_)/.test(`${short}_`) ? 'TENANT_' : ''}${short}${SUFFIX}`;
}

function fingerprint(key: string): string {
  return createHash('sha256').update(key).digest('hex').slice(0, 8).toUpperCase();
}

/**
 * The name of each selected tenant's secret, by key.
 *
 * @param others tenants that are not selected, and whose secrets must not be overwritten either.
 * @throws ExplainedError when two tenants would have the same one.
 */
export function secretNames(
  choice: string,
  selected: readonly DesiredTenant[],
  others: readonly DesiredTenant[],
): ReadonlyMap<string, string> {
  if (choice !== AUTO) {
    const [only, ...more] = selected;
    if (only !== undefined && more.length === 0) return new Map([[only.key, choice.toUpperCase()]]);
    throw new ExplainedError({
      message: `github-secret: one name is given for ${selected.length} tenants; nothing was done`,
      hint: 'Set `github-secret: auto`, which makes a name of each key, or select one tenant.',
    });
  }
  const keyOf = new Map<string, string>();
  const names = new Map<string, string>();
  for (const { key } of selected) {
    const name = secretNameOf(key);
    assertFree(keyOf.get(name), key, name);
    keyOf.set(name, key);
    names.set(key, name);
  }
  for (const { key } of others) {
    // One that has no name of its own can take nobody's.
    if (/[A-Za-z0-9]/.test(key.normalize('NFKD'))) assertFree(keyOf.get(secretNameOf(key)), key, secretNameOf(key));
  }
  return names;
}

function assertFree(holder: string | undefined, key: string, name: string): void {
  if (holder === undefined) return;
  throw new ExplainedError({
    message: `github-secret: ${JSON.stringify(holder)} and ${JSON.stringify(key)} would both have the secret ${name}; nothing was done`,
    hint: 'A name of a secret has letters, digits and _ only, in upper case. Change one of the two keys.',
  });
}
