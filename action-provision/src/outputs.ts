import * as core from '@actions/core';

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
  // Without a file for outputs they go to the log as commands, as GitHub took them once.
  if (!process.env['GITHUB_OUTPUT']) {
    core.warning('The connection URIs are not set: GITHUB_OUTPUT names no file, and they would be printed.');
    return;
  }
  for (const [name, uri] of [
    ['connection-uri', project.found.uri],
    ['connection-uri-pooled', project.pooledUri],
  ] as const) {
    if (uri === undefined) continue;
    mask(uri);
    core.setOutput(name, uri);
  }
}

function publicPart({ key, name, projectId, created, host, found: { database, role } }: ProvisionedProject) {
  return { key, name, projectId, created, host, database, role };
}
