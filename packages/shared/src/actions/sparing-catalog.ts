import { ExplainedError } from '../errors/index.js';
import type { Neon } from '../neon/index.js';
import { directHost, hostOf } from '../postgres/index.js';

/**
 * The same way to Neon, except to the endpoint that the catalog is behind: whatever a selection or a plan says, nothing is
 * migrated, dumped or put back there.
 */
export function sparingCatalog<T extends Pick<Neon, 'connectionUri'>>(neon: T, catalogUrl: string | undefined): T {
  if (catalogUrl === undefined) return neon;
  const catalog = endpointOf(catalogUrl);
  return {
    ...neon,
    async connectionUri(request) {
      const uri = await neon.connectionUri(request);
      if (endpointOf(uri) === catalog) {
        throw new ExplainedError({
          message: `the project ${request.projectId} is the one that the catalog is in, and never a tenant`,
          hint: `Take it out of tenants with a line !${request.projectId}`,
        });
      }
      return uri;
    },
  };
}

function endpointOf(uri: string): string {
  return directHost(hostOf(uri));
}
