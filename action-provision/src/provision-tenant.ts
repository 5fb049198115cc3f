import { migrateDatabase, type MigrateOptions } from '@neon-fleet/shared/drizzle';
import { tenantOf, type Location, type WorkResult } from '@neon-fleet/shared/fleet';
import { findDatabase, type FoundDatabase, type Neon, type NewProject } from '@neon-fleet/shared/neon';
import { connect, parseConnectionUri } from '@neon-fleet/shared/postgres';

import { findOrCreate } from './find-or-create.js';

/** A tenant that can be reached: what the outputs are made from. The URIs are secrets. */
export interface ProvisionedProject {
  readonly name: string;
  readonly projectId: string;
  readonly created: boolean;
  readonly host: string;
  readonly found: FoundDatabase;
  readonly pooledUri?: string;
}

export interface ProvisionOptions {
  readonly wanted: NewProject;
  readonly location: Location;
  readonly authorities: readonly string[] | undefined;
  /** Absent: the schema is left as it is. */
  readonly migrate?: Omit<MigrateOptions, 'note' | 'signal' | 'authorities'> | undefined;
  /** Whether somebody will want the URI of the pooler as well: one more call. */
  readonly pooled: boolean;
  readonly signal: AbortSignal;
  readonly note: (line: string) => void;
  /** Called with the project's id as soon as it is known. */
  readonly found: (projectId: string) => void;
  readonly onReachable: (project: ProvisionedProject) => void;
}

/**
 * Makes sure that a tenant has its project, that it can be reached, and that its schema is the fleet's. Every step looks
 * before it acts, so that a run which was interrupted anywhere is finished by the next one.
 */
export async function provisionTenant(neon: Neon, options: ProvisionOptions): Promise<WorkResult> {
  const { wanted, location, authorities, migrate, pooled, signal, note, found: onFound, onReachable } = options;
  const { project, created } = await findOrCreate(neon, wanted, { signal, note, found: onFound });
  const { projectId } = project;
  const found = await findDatabase(neon, tenantOf(project, location));
  const { host } = parseConnectionUri(found.uri);
  const pooledUri = pooled ? await neon.connectionUri({ ...found, projectId, pooled }) : undefined;
  onReachable({
    name: wanted.name,
    projectId,
    created,
    host,
    found,
    ...(pooledUri === undefined ? {} : { pooledUri }),
  });

  const result: WorkResult =
    migrate === undefined
      ? await connectOnce(found.uri, authorities, signal)
      : await migrateDatabase(found.uri, { ...migrate, authorities, signal, note });
  return { ...withCreation(result, created), projectId };
}

/** Ready means that somebody was let in. */
async function connectOnce(
  uri: string,
  authorities: readonly string[] | undefined,
  signal: AbortSignal,
): Promise<WorkResult> {
  const connection = await connect(parseConnectionUri(uri), {
    signal,
    authorities,
    applicationName: 'neon-fleet provision',
  });
  await connection.close();
  return { status: 'unchanged', reason: 'up-to-date', detail: 'its schema was left as it is: no migrations-folder' };
}

function withCreation(result: WorkResult, created: boolean): WorkResult {
  if (!created) return { ...result, detail: `exists already; ${result.detail}` };
  if (result.status === 'unchanged') return { status: 'succeeded', detail: `created; ${result.detail}` };
  return { ...result, detail: `created; ${result.detail}` };
}
