import type { AssumedNames, ProjectRef } from '../neon/index.js';
import type { BackupSettings } from './fleet-file-schema.js';

/** A project that was selected for a run, with what the run was told about where its database is. */
export interface Tenant {
  /** The fleet's own name for the tenant. Without a fleet file it is the project's name. */
  readonly key: string;
  readonly projectId: string;
  /** The project's name: hostile input wherever it is shown. */
  readonly name: string;
  /** Absent: the project's default branch. */
  readonly branch?: string;
  readonly database: string;
  readonly role: string;
  /** Which of database and role are Neon's defaults rather than somebody's word. */
  readonly assumed: AssumedNames;
  readonly labels: Readonly<Record<string, string>>;
  /** How far back the project can be restored; absent where Neon did not say. */
  readonly historyRetentionSeconds?: number;
  /** Where the project is and which major version it has; absent where only its id is known. */
  readonly regionId?: string;
  readonly pgVersion?: number;
  /** What the project takes in Neon's storage, its history included; absent where Neon did not say. */
  readonly storageBytes?: number;
  /** What the fleet file says about its backups; absent without one, or when it says nothing. */
  readonly backup?: BackupSettings;
}

/** Where a tenant's data is inside its project, as far as the inputs say. */
export interface Location {
  readonly branch?: string | undefined;
  readonly database?: string | undefined;
  readonly role?: string | undefined;
}

/** The names that Neon gives to a new project's database and role. */
export const NEON_DEFAULTS = { database: 'neondb', role: 'neondb_owner' } as const;

/** A project as it was listed, or as much of it as is known where nobody has listed it. */
export type KnownProject = Pick<ProjectRef, 'projectId' | 'name'> & Partial<ProjectRef>;

/** Makes a tenant of a project: the inputs first, then Neon's defaults. */
export function tenantOf(project: KnownProject, location: Location = {}): Tenant {
  return {
    key: project.name,
    projectId: project.projectId,
    name: project.name,
    ...(location.branch === undefined ? {} : { branch: location.branch }),
    database: location.database ?? NEON_DEFAULTS.database,
    role: location.role ?? NEON_DEFAULTS.role,
    assumed: { database: location.database === undefined, role: location.role === undefined },
    labels: {},
    ...(project.historyRetentionSeconds === undefined
      ? {}
      : { historyRetentionSeconds: project.historyRetentionSeconds }),
    ...(project.regionId === undefined ? {} : { regionId: project.regionId }),
    ...(project.pgVersion === undefined ? {} : { pgVersion: project.pgVersion }),
    ...(project.storageBytes === undefined ? {} : { storageBytes: project.storageBytes }),
  };
}
