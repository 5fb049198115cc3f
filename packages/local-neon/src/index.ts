import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { startApiServer, type ApiServer, type LoggedRequest } from './api/server.js';
import { recordState } from './api/copies.js';
import { ApiSpec } from './api/spec.js';
import { branchOf, databaseOf, type World } from './api/world.js';
import { Faults } from './faults/faults.js';
import { settingsOf, type LocalNeonOptions, type Settings } from './options.js';
import { makeCertificates } from './postgres/certificates.js';
import { startCluster, type Cluster } from './postgres/cluster.js';
import { PhysicalDatabases } from './postgres/databases.js';
import { Gateway } from './postgres/gateway.js';
import { makeDirectories, type Directories } from './postgres/storage.js';
import { startS3, type LocalS3 } from './s3/s3.js';
import { suspendCompute } from './state/compute.js';
import type { ProjectRecord } from './state/model.js';
import { Store } from './state/store.js';
import { Supervisor } from './supervisor/supervisor.js';

export type { LoggedRequest } from './api/server.js';
export { Faults } from './faults/faults.js';
export type { FaultKind, FaultRule, FaultRuleInput } from './faults/rules.js';
export type { LocalNeonOptions } from './options.js';
export type { LocalS3 } from './s3/s3.js';
export { whenNpmIsGone } from './supervisor/parent.js';

/** A running stand-in for Neon. */
export interface LocalNeon extends AsyncDisposable {
  /** Base URL of the API, e.g. `http://127.0.0.1:12345/api/v2`. */
  readonly apiUrl: string;
  readonly apiKey: string;
  readonly orgId: string;
  /** Superuser's URL of the real server: plain TCP, no TLS. */
  readonly postgresUrl: string;
  /** PEM file of the authority that signed the endpoints' certificate. */
  readonly caFile: string;
  readonly s3: LocalS3;
  /** Misbehaviour, to be changed at any time. */
  readonly faults: Faults;
  /** Adds projects. They have no database before somebody connects. @returns their ids */
  seedProjects(names: readonly string[]): Promise<string[]>;
  /** Superuser's URL of the physical database behind a project, which is made if it isn't there yet. @throws Error when there is none */
  adminUrlFor(projectId: string, options?: { branchId?: string; database?: string }): Promise<string>;
  /** The requests that the API was sent, oldest first. */
  requests(): readonly LoggedRequest[];
  /** How many connections a project's endpoints have admitted, by the door they came through. */
  connections(projectId: string): Promise<{ direct: number; pooled: number }>;
  /** Suspends all computes and ends their connections. */
  suspendAll(): Promise<void>;
  /** Records what a branch holds, so that it can be restored by `source_lsn` or `source_timestamp`. */
  recordState(projectId: string, options?: { branchId?: string }): Promise<{ lsn: string; timestamp: string }>;
  /** Ends everything and removes the temporary directory. May be called again. */
  stop(): Promise<void>;
}

/**
 * Starts an offline stand-in for Neon on loopback: the API, a real PostgreSQL behind TLS endpoints, and an S3 server.
 *
 * @throws Error when options are wrong, or a server does not come up; nothing is left running then
 */
export async function startLocalNeon(options: LocalNeonOptions = {}): Promise<LocalNeon> {
  const settings = settingsOf(options);
  const faults = new Faults();
  if (options.faults) faults.set(...options.faults);
  const log = options.log ?? (() => undefined);
  const directories = await makeDirectories(settings.inMemory);
  const supervisor = new Supervisor([...new Set([directories.main, directories.data])]);
  try {
    return await start(settings, faults, log, directories, supervisor);
  } catch (error) {
    await supervisor.stop();
    throw error;
  }
}

async function start(
  settings: Settings,
  faults: Faults,
  log: (line: string) => void,
  directories: Directories,
  supervisor: Supervisor,
): Promise<LocalNeon> {
  const certificates = await makeCertificates();
  const caFile = path.join(directories.main, 'ca.pem');
  await writeFile(caFile, certificates.ca, { mode: 0o644 });
  const starting = [
    startCluster(supervisor, { directories, certificates, binDir: settings.postgresBinDir, log }),
    settings.s3 ? startS3(supervisor, directories.main) : Promise.resolve(undefined),
    ApiSpec.load(),
  ] as const;
  await Promise.allSettled(starting); // so that nothing starts behind the back of a clean-up
  const [cluster, s3, spec] = await Promise.all(starting);
  const databases = new PhysicalDatabases(cluster, directories, log);
  await databases.prepare();
  const store = new Store();
  const beforePosition = async (project: ProjectRecord, branchId: string) => {
    try {
      await recordState(world, project, branchOf(project, branchId));
    } catch (error) {
      log(`local-neon: no restore point of ${project.id}: ${String(error)}`);
    }
  };
  const gateway = new Gateway({
    ...{ store, cluster, databases, certificates, faults, log, coldStartMs: settings.coldStartMs },
    beforePosition: settings.restorePoints ? beforePosition : undefined,
  });
  const orgId = `org-local-${randomBytes(4).toString('hex')}`;
  const world: World = { store, gateway, databases, faults, orgId, operationMs: settings.operationMs };
  const apiKey = settings.apiKey ?? `napi_${randomBytes(32).toString('hex')}`;
  const { port, latencyMs, rateLimitPerMinute } = settings;
  const api = await startApiServer({ world, spec, port, apiKey, latencyMs, rateLimitPerMinute, log });
  const digits = Math.max(4, String(settings.projects).length);
  for (let number = 1; number <= settings.projects; number++) {
    store.create({ name: `tenant-${String(number).padStart(digits, '0')}` }, Date.now());
  }
  return assemble({ world, cluster, s3, api, apiKey, caFile, supervisor });
}

interface Parts {
  readonly world: World;
  readonly cluster: Cluster;
  readonly s3: LocalS3 | undefined;
  readonly api: ApiServer;
  readonly apiKey: string;
  readonly caFile: string;
  readonly supervisor: Supervisor;
}

function assemble({ world, cluster, s3, api, apiKey, caFile, supervisor }: Parts): LocalNeon {
  const { store, gateway, databases, faults } = world;
  const project = (id: string): ProjectRecord => {
    const found = store.get(id);
    if (!found) throw new Error(`there is no project ${id}`);
    return found;
  };
  let stopping: Promise<void> | undefined;
  const stopAll = async () => {
    await Promise.all([api.close(), gateway.close()]);
    await databases.close();
    await supervisor.stop();
  };
  const stop = () => (stopping ??= stopAll());
  return {
    apiUrl: `http://127.0.0.1:${String(api.port)}/api/v2`,
    apiKey,
    orgId: world.orgId,
    postgresUrl: cluster.superuserUrl('postgres'),
    caFile,
    get s3() {
      if (!s3) throw new Error('this stand-in was started with s3: false');
      return s3;
    },
    faults,
    seedProjects: (names) => Promise.resolve(names.map((name) => store.create({ name }, Date.now()).id)),
    adminUrlFor: async (projectId, options = {}) => {
      const found = project(projectId);
      const database = databaseOf(branchOf(found, options.branchId), options.database ?? 'neondb');
      await databases.ensureDatabase(found, database);
      return cluster.superuserUrl(database.physicalName);
    },
    requests: () => [...api.requests],
    connections: async (projectId) => {
      const total = { direct: 0, pooled: 0 };
      for (const endpoint of project(projectId).endpoints.values()) {
        const uses = await gateway.uses(endpoint.id);
        total.direct += uses.direct;
        total.pooled += uses.pooled;
      }
      return total;
    },
    suspendAll: async () => {
      for (const each of store.all()) {
        for (const endpoint of each.endpoints.values()) {
          suspendCompute(endpoint, Date.now());
          await gateway.disconnect(endpoint.id);
        }
      }
    },
    recordState: async (projectId, options = {}) => {
      const found = project(projectId);
      const { lsn, at } = await recordState(world, found, branchOf(found, options.branchId));
      return { lsn, timestamp: new Date(at).toISOString() };
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
