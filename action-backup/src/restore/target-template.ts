import { explain, ExplainedError } from '@neon-fleet/shared/errors';
import { parseConnectionUri, placeOf, type ConnectionTarget } from '@neon-fleet/shared/postgres';

import { samePlace } from './target.js';

/** Whom a place in the template can be filled from. */
export interface TemplateTenant {
  readonly projectId: string;
  readonly name: string;
  readonly database: string;
  /** Where its backup was dumped from; undefined when the manifest does not say. */
  readonly source: string | undefined;
}

export const PLACEHOLDERS = ['project-id', 'name', 'database'] as const;

/** What is wrong about a template by itself, in words that never repeat it: it holds a password. */
export function templateProblem(template: string): string | undefined {
  const named = [...template.matchAll(/\{([^{}]*)\}/g)].map(([, name = '']) => name);
  const unknown = named.filter((name) => !(PLACEHOLDERS as readonly string[]).includes(name));
  if (unknown.length > 0) return 'it has a placeholder that is not known';
  if (/[{}]/.test(template.replace(/\{[^{}]*\}/g, ''))) return 'it has a brace by itself';
  // A name comes from whoever may name a project: it says which database, and never which server, or how to connect.
  const server = /^[^:]*:\/\/(?:[^/?#]*@)?([^/?#]*)/.exec(template)?.[1] ?? '';
  if (/\{(name|database)\}/.test(server)) return 'its host has a placeholder other than {project-id}';
  if (/\?.*\{/s.test(template)) return 'it has a placeholder among its parameters';
  if (!named.includes('project-id') && !named.includes('name')) return 'it names the same database for every tenant';
  try {
    parseConnectionUri(fill(template, { projectId: 'a-1', name: 'a', database: 'a', source: undefined }));
    return undefined;
  } catch (thrown) {
    return explain(thrown).message;
  }
}

/** The target of one tenant; a secret. Names are percent-encoded, so that none can change the rest of the URI. */
export function fill(template: string, tenant: TemplateTenant): string {
  const values: Readonly<Record<string, string>> = {
    'project-id': tenant.projectId,
    name: tenant.name,
    database: tenant.database,
  };
  return template.replace(/\{([a-z-]+)\}/g, (whole, name: string) => {
    const value = values[name];
    return value === undefined ? whole : encodeURIComponent(value);
  });
}

const LONGEST_NAME_BYTES = 63;
const MOST_SHOWN = 10;

/**
 * Gives every tenant its target, or none: no two may get the same, and nobody the database that a backup was made of.
 *
 * @returns the tenants in their order, each with its URI (a secret).
 * @throws ExplainedError that names every tenant there is something wrong with.
 */
export function fillTargets<T extends TemplateTenant>(
  template: string,
  tenants: readonly T[],
): (T & { readonly targetUrl: string })[] {
  const problems: string[] = [];
  const takenBy = new Map<string, TemplateTenant>();
  const sources = new Map(tenants.flatMap((tenant) => (tenant.source === undefined ? [] : [[tenant.source, tenant]])));
  const filled = tenants.map((tenant) => {
    const targetUrl = fill(template, tenant);
    const withTarget = { ...tenant, targetUrl };
    const target = parsed(targetUrl);
    if (typeof target === 'string') {
      problems.push(`${who(tenant)}: ${target}`);
      return withTarget;
    }
    const place = samePlace(target);
    const other = takenBy.get(place);
    takenBy.set(place, other ?? tenant);
    if (other !== undefined)
      problems.push(`${who(other)} and ${who(tenant)} would both be restored into ${placeOf(target)}`);
    const owner = sources.get(place);
    if (owner !== undefined)
      problems.push(`${who(tenant)}: ${placeOf(target)} is what the backup of ${who(owner)} was made of`);
    return withTarget;
  });
  if (problems.length === 0) return filled;
  const more = problems.length > MOST_SHOWN ? `; and ${problems.length - MOST_SHOWN} more` : '';
  throw new ExplainedError({
    message: `target-url does not fit the tenants: ${problems.slice(0, MOST_SHOWN).join('; ')}${more}; nothing was done`,
    hint: 'Project ids are unique and always fit: {project-id}_{database}. Names may be the same, or too long.',
  });
}

/** The target of a URI, or what is wrong with it. */
function parsed(uri: string): ConnectionTarget | string {
  let target: ConnectionTarget;
  try {
    target = parseConnectionUri(uri);
  } catch (thrown) {
    return explain(thrown).message;
  }
  // The server would cut a longer name, and with it what tells it from others.
  if (Buffer.byteLength(target.database) > LONGEST_NAME_BYTES)
    return `the name of its database would have more than ${LONGEST_NAME_BYTES} bytes`;
  if (target.database.includes('\0')) return 'the name of its database would hold a zero byte';
  if (/[%\s]/.test(target.host)) return 'its host would not be the name of a host';
  return target;
}

function who({ name, projectId, database }: TemplateTenant): string {
  return `${JSON.stringify(name)} (${projectId}, ${database})`;
}
