import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';

import * as core from '@actions/core';
import { openNeonFor, publishRun, type ActionContext } from '@neon-fleet/shared/actions';
import { explain, ExplainedError } from '@neon-fleet/shared/errors';
import { NEON_DEFAULTS, type Outcome } from '@neon-fleet/shared/fleet';

import { importProjects, type ImportedProject } from './import.js';
import type { ProvisionInputs } from './inputs.js';

export const DEFAULT_FLEET_FILE = 'fleet.yml';

/** `import`: writes what the organisation has into the fleet file; Neon itself is only read. */
export async function importFleet(values: ProvisionInputs, context: ActionContext): Promise<void> {
  const file = values.fleetFile ?? DEFAULT_FLEET_FILE;
  const text = await readFile(file, 'utf8').catch((thrown: unknown) => {
    if (explain(thrown).code === 'ENOENT') return '';
    throw new ExplainedError({
      message: `fleet-file: ${JSON.stringify(file)} cannot be read: ${explain(thrown).message}`,
    });
  });
  const neon = openNeonFor(values, context);
  const listing = await neon.manage.listStates();
  const imported = importProjects(text, listing, file);
  await replaceFile(file, imported.text);
  core.info(`${file}: ${imported.projects.filter(({ what }) => what === 'added').length} tenants added`);
  const now = context.startedAt;
  await publishRun({
    action: 'provision',
    command: 'import',
    startedAt: now,
    outcomes: [
      ...imported.projects.map((project) => outcomeOf(project, now)),
      ...listing.unavailableProjectIds.map((id) => unlisted(id, now)),
    ],
    allowSkipped: values.allowSkipped,
  });
}

/** Killed at any moment, the old file is there or the new one, and never half of one. */
async function replaceFile(file: string, text: string): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true });
  const beside = `${file}.${process.pid}.tmp`;
  await writeFile(beside, text);
  await rename(beside, file);
}

function outcomeOf({ project, what, detail }: ImportedProject, startedAt: Date): Outcome {
  const identity = {
    projectId: project.projectId,
    name: project.name,
    database: NEON_DEFAULTS.database,
    attempts: 1,
    startedAt: startedAt.toISOString(),
    durationMs: 0,
  };
  if (what === 'added' || what === 'doubtful' || what === 'identified')
    return { ...identity, status: 'succeeded', detail };
  return { ...identity, status: 'unchanged', reason: 'up-to-date', detail };
}

function unlisted(projectId: string, startedAt: Date): Outcome {
  return {
    projectId,
    name: projectId,
    database: NEON_DEFAULTS.database,
    attempts: 0,
    startedAt: startedAt.toISOString(),
    durationMs: 0,
    status: 'skipped',
    reason: 'unlisted',
    detail: 'Neon says that this project exists but could not describe it; it is not in the file, import again later',
  };
}
