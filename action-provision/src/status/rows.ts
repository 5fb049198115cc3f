import type { CatalogStatus } from '@neon-fleet/shared/catalog';
import type { Consumption, ProjectState } from '@neon-fleet/shared/neon';

/** What is known about one tenant. What nobody knows is absent. */
export interface StatusRow {
  readonly key: string;
  readonly name: string;
  readonly projectId: string;
  readonly region?: string;
  readonly postgres?: number;
  readonly version?: string;
  /** Whether its schema is behind the fleet's. */
  readonly isBehind: boolean;
  /** Of its last migration: status, and reason or error code. */
  readonly outcome?: string;
  readonly outcomeAt?: string;
  readonly backupAt?: string;
  readonly verifiedAt?: string;
  readonly sizeBytes?: number;
  readonly computeHours?: number;
  readonly lastActiveAt?: string;
  /** In the catalog or the fleet file, and not in Neon. */
  readonly isMissing: boolean;
}

/** The fleet at a moment. */
export interface FleetStatus {
  readonly schemaVersion: 1;
  readonly takenAt: string;
  /** The version that the fleet should be at; absent when nothing says it. */
  readonly version?: string;
  readonly rows: readonly StatusRow[];
  /** What could not be found out, in words. */
  readonly gaps: readonly string[];
}

export interface StatusSource {
  /** Whom the status is about: key, and id where it is known. */
  readonly tenants: readonly { readonly key: string; readonly name: string; readonly projectId: string }[];
  readonly projects: ReadonlyMap<string, ProjectState>;
  readonly catalog: ReadonlyMap<string, CatalogStatus>;
  readonly consumption: ReadonlyMap<string, Consumption>;
  /** The version of the migrations folder, when there is one. */
  readonly version?: string | undefined;
  readonly takenAt: Date;
  readonly gaps: readonly string[];
  /** Names and keys are left out; ids take their place. */
  readonly idsOnly: boolean;
}

const SECONDS_AN_HOUR = 3_600;

/** Puts together what Neon, the catalog and the file know. */
export function statusOf(source: StatusSource): FleetStatus {
  const { tenants, catalog, takenAt, gaps } = source;
  const versions = tenants.flatMap(({ projectId }) => catalog.get(projectId)?.schemaVersion ?? []);
  // Tags begin with a number or a date, so that the last one in their order is the newest.
  const version = source.version ?? versions.toSorted().at(-1);
  return {
    schemaVersion: 1,
    takenAt: takenAt.toISOString(),
    ...(version === undefined ? {} : { version }),
    rows: tenants.map((tenant) => rowOf(tenant, version, source)),
    gaps,
  };
}

function rowOf(
  { key, name, projectId }: StatusSource['tenants'][number],
  version: string | undefined,
  { projects, catalog, consumption, idsOnly }: StatusSource,
): StatusRow {
  const project = projects.get(projectId);
  const known = catalog.get(projectId);
  const seconds = consumption.get(projectId)?.['compute_unit_seconds'];
  const region = project?.regionId ?? known?.regionId;
  const postgres = project?.pgVersion ?? known?.pgVersion;
  const why = known?.reason ?? known?.errorCode;
  return {
    key: idsOnly ? projectId : key,
    name: idsOnly ? projectId : (project?.name ?? name),
    projectId,
    ...(region === undefined ? {} : { region }),
    ...(postgres === undefined ? {} : { postgres }),
    ...(known?.schemaVersion === undefined ? {} : { version: known.schemaVersion }),
    isBehind: known !== undefined && version !== undefined && known.schemaVersion !== version,
    ...(known?.outcome === undefined
      ? {}
      : { outcome: why === undefined ? known.outcome : `${known.outcome}: ${why}` }),
    ...(known?.outcomeAt === undefined ? {} : { outcomeAt: known.outcomeAt }),
    ...(known?.backupAt === undefined ? {} : { backupAt: known.backupAt }),
    ...(known?.verifiedAt === undefined ? {} : { verifiedAt: known.verifiedAt }),
    ...(project?.storageBytes === undefined ? {} : { sizeBytes: project.storageBytes }),
    ...(seconds === undefined ? {} : { computeHours: seconds / SECONDS_AN_HOUR }),
    ...(project?.lastActiveAt === undefined ? {} : { lastActiveAt: project.lastActiveAt }),
    isMissing: project === undefined,
  };
}

/** Whether the last thing that was done to a tenant went wrong. */
export function hasFailed({ outcome }: StatusRow): boolean {
  return outcome !== undefined && /^(failed|rolled-back)/.test(outcome);
}

/** How many there are of each value, the most frequent first. */
export function distribution(values: readonly (string | undefined)[]): [string, number][] {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value ?? 'not known', (counts.get(value ?? 'not known') ?? 0) + 1);
  return [...counts].toSorted(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
}
