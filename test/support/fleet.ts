import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { startLocalNeon, type LocalNeon, type LocalNeonOptions } from '@neon-fleet/local-neon';
import {
  runAction,
  startAction,
  type ActionRun,
  type FinishedAction,
  type StartActionOptions,
} from '@neon-fleet/local-runner';
import { createApiClient } from '@neondatabase/api-client';
import { fleetReportSchema, type FleetReport, type Outcome } from '@neon-fleet/shared/fleet';
import pg from 'pg';

import { ROOT, type ActionName } from '../../scripts/actions.js';

/** The stand-in has no limit unless it is given one. A test of the default says `'neon-api-rate': ''`. */
const UNTHROTTLED = '100000';

/** What a test may say about a step besides its inputs. */
export type StepOptions = Partial<Pick<StartActionOptions, 'env' | 'cwd' | 'node' | 'folder' | 'onLog'>>;

/** A local Neon and the means to run the bundled actions against it. */
export class TestFleet implements AsyncDisposable {
  private constructor(
    readonly neon: LocalNeon,
    /** A temporary folder that goes with the fleet. */
    readonly folder: string,
  ) {}

  static async start(options: LocalNeonOptions = {}): Promise<TestFleet> {
    const folder = await mkdtemp(path.join(tmpdir(), 'neon-fleet-test-'));
    return new TestFleet(await startLocalNeon(options), folder);
  }

  /** The inputs with which a backup reaches the S3 server. */
  get s3Inputs(): Record<string, string> {
    const { bucket, endpoint, region } = this.neon.s3;
    return { 's3-bucket': bucket, 's3-endpoint': endpoint, 's3-force-path-style': 'true', 'aws-region': region };
  }

  /** Starts a bundled action. Inputs that are not given: the API's address and key, and no limit to the rate. */
  async start(action: ActionName, inputs: Record<string, string>, options: StepOptions = {}): Promise<ActionRun> {
    return startAction(this.#step(action, inputs, options));
  }

  /** Runs a bundled action to its end. */
  async run(action: ActionName, inputs: Record<string, string>, options: StepOptions = {}): Promise<FinishedAction> {
    return runAction(this.#step(action, inputs, options));
  }

  /** What the API gives as the URI of a tenant's database, with its owner's password. */
  async uriOf(projectId: string): Promise<string> {
    const api = createApiClient({ apiKey: this.neon.apiKey, baseURL: this.neon.apiUrl });
    const { data } = await api.getConnectionUri({ projectId, database_name: 'neondb', role_name: 'neondb_owner' });
    return data.uri;
  }

  /** Asks a tenant's database as the superuser. */
  async query<Row extends pg.QueryResultRow>(projectId: string, sql: string): Promise<Row[]> {
    const client = new pg.Client({ connectionString: await this.neon.adminUrlFor(projectId) });
    await client.connect();
    try {
      return (await client.query<Row>(sql)).rows;
    } finally {
      await client.end();
    }
  }

  /** Asks a tenant's database as its owner does, through its endpoint. */
  async queryAsOwner<Row extends pg.QueryResultRow>(projectId: string, sql: string): Promise<Row[]> {
    const url = new URL(await this.uriOf(projectId));
    url.search = '';
    const client = new pg.Client({
      connectionString: url.href,
      ssl: { ca: await readFile(this.neon.caFile, 'utf8') },
    });
    await client.connect();
    try {
      return (await client.query<Row>(sql)).rows;
    } finally {
      await client.end();
    }
  }

  /** Resolves when the tenant's database runs a statement like this. */
  async statementRuns(projectId: string, like: string): Promise<void> {
    for (;;) {
      const [row] = await this.query<{ running: boolean }>(
        projectId,
        `SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE '${like}'
            AND pid <> pg_backend_pid() AND datname = current_database()) AS running`,
      );
      if (row?.running === true) return;
    }
  }

  /** The user's tables of a tenant, sorted. */
  async tables(projectId: string): Promise<string[]> {
    const rows = await this.query<{ name: string }>(
      projectId,
      `SELECT schemaname || '.' || tablename AS name FROM pg_tables
        WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1`,
    );
    return rows.map(({ name }) => name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.neon.stop();
    await rm(this.folder, { recursive: true, force: true });
  }

  #step(action: ActionName, inputs: Record<string, string>, options: StepOptions): StartActionOptions {
    const { s3, apiKey, apiUrl, caFile } = this.neon;
    return {
      bundle: path.join(ROOT, 'dist', action, 'index.js'),
      cwd: this.folder,
      ...options,
      inputs: { 'neon-api-key': apiKey, 'neon-api-url': apiUrl, 'neon-api-rate': UNTHROTTLED, ...inputs },
      env: {
        NODE_EXTRA_CA_CERTS: caFile,
        AWS_ACCESS_KEY_ID: s3.accessKeyId,
        AWS_SECRET_ACCESS_KEY: s3.secretAccessKey,
        ...options.env,
      },
    };
  }
}

/** The report of a step, validated. */
export function reportOf({ report, log }: FinishedAction): FleetReport {
  if (report === undefined) throw new Error(`the step wrote no report:\n${log}`);
  return fleetReportSchema.parse(JSON.parse(report));
}

/** The outcome of one tenant, which must appear exactly once. */
export function outcomeOf(finished: FinishedAction, name: string): Outcome {
  const found = reportOf(finished).outcomes.filter((outcome) => outcome.name === name);
  const [outcome] = found;
  if (outcome === undefined || found.length > 1) throw new Error(`${name} appears ${found.length} times in the report`);
  return outcome;
}

/** Each tenant's status and reason in a few words, by name. */
export function statuses(finished: FinishedAction): Record<string, string> {
  return Object.fromEntries(
    reportOf(finished).outcomes.map((outcome) => [
      outcome.name,
      'reason' in outcome ? `${outcome.status}: ${outcome.reason}` : outcome.status,
    ]),
  );
}
