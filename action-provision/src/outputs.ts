import * as core from '@actions/core';
import { setSecretOutput } from '@neon-fleet/shared/actions';

import type { ProvisionedProject } from './provision-tenant.js';

/**
 * Sets what the steps after this one need to reach the projects. With one tenant each value has an output of its own;
 * the connection URIs are masked before they are set, and not set at all where that would print them.
 */
export function setProjectOutputs(
  projects: readonly ProvisionedProject[],
  { single, mask }: { readonly single: boolean; readonly mask: (secret: string) => void },
): void {
  core.setOutput('projects', JSON.stringify(projects.map(publicPart)));
  const [project] = projects;
  if (!single || project === undefined) return;

  for (const [name, value] of Object.entries(publicPart(project))) {
    if (name !== 'name' && name !== 'key') core.setOutput(name === 'projectId' ? 'project-id' : name, value);
  }
  for (const [name, uri] of [
    ['connection-uri', project.found.uri],
    ['connection-uri-pooled', project.pooledUri],
    ['application-uri', project.application?.uri],
    ['application-uri-pooled', project.application?.pooledUri],
  ] as const) {
    if (uri === undefined) continue;
    mask(uri);
    setSecretOutput(name, uri);
  }
}

function publicPart({ key, name, projectId, created, host, found: { database, role } }: ProvisionedProject) {
  return { key, name, projectId, created, host, database, role };
}
