import path from 'node:path';

import { ExplainedError } from '@neon-fleet/shared/errors';

/** The name of a tenant's folder in the layout of Neon's guide: `ACME Corp` has `configs/acme-corp`. */
export function safeName(tenant: string): string {
  return tenant.replace(/\s+/g, '-').toLowerCase();
}

/** What a variable of JavaScript may be called, and nothing that would end the name of one in an environment. */
const VARIABLE = /^[\p{L}_][\p{L}\p{N}_]*$/u;

/**
 * The variables in which drizzle-kit finds the URL of a tenant. With a config for each tenant that is also the guide's own
 * (`ACME_CORP_DATABASE_URL`), unless the tenant's name makes no variable: it is somebody else's text.
 */
export function urlVariables(tenant: string, extra: string | undefined, configs: 'one' | 'each'): string[] {
  const ofGuide = `${safeName(tenant).replaceAll('-', '_').toUpperCase()}_DATABASE_URL`;
  return [
    ...new Set([
      'DATABASE_URL',
      ...(extra === undefined ? [] : [extra]),
      ...(configs === 'each' && VARIABLE.test(ofGuide) ? [ofGuide] : []),
    ]),
  ];
}

/**
 * Finds the config of a tenant among those that a glob names: the one whose folder is called like the tenant.
 *
 * @throws ExplainedError when there is none, or more than one.
 */
export function configFor(tenant: string, configs: readonly string[], pattern: string): string {
  const folder = safeName(tenant);
  const [found, ...others] = configs.filter((file) => path.basename(path.dirname(file)) === folder);
  if (found === undefined) {
    throw new ExplainedError({
      message: `no file of drizzle-config (${pattern}) is in a folder called ${JSON.stringify(folder)}`,
      hint: `A tenant's folder is its name in lower case, with hyphens for spaces. ${
        configs.length === 0 ? 'The pattern matches no file at all' : `There are: ${listed(configs)}`
      }.`,
    });
  }
  if (others.length > 0) {
    throw new ExplainedError({
      message: `more than one file of drizzle-config (${pattern}) is in a folder called ${JSON.stringify(folder)}: ${listed([found, ...others])}`,
      hint: 'Make the pattern narrower, so that it names one file for each tenant.',
    });
  }
  return found;
}

const LISTED = 5;

function listed(names: readonly string[]): string {
  const more = names.length - LISTED;
  return names.slice(0, LISTED).join(', ') + (more > 0 ? ` and ${more} more` : '');
}
