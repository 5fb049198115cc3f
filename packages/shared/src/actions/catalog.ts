import { randomUUID } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import * as core from '@actions/core';

import { openCatalog, type Catalog, type CatalogBatch, type OutcomeRecord, type RunRecord } from '../catalog/index.js';
import { explain } from '../errors/index.js';
import type { FleetReport, Outcome } from '../fleet/index.js';
import { trustedAuthorities } from '../postgres/index.js';
import { textInput } from './inputs.js';
import { redact } from './masking.js';
import { printableLine } from './printable.js';

/** Where the fleet's catalog is; every action that writes to it takes this. */
export const catalogInputs = {
  'catalog-url': textInput({
    description:
      'Connection URI of the catalog, a PostgreSQL database of its own (see docs/catalog.md). Not set: there is none, and everything works from the Neon API.',
    secret: true,
    accepted: 'a connection URI',
  }),
} as const;

export const catalogOutputs = {
  'catalog-replay': {
    description:
      'Path of a file with what the catalog could not be told, for `command: sync` of provision; else empty.',
    example: '/home/runner/work/_temp/neon-fleet/catalog-1f6c.json',
  },
} as const;

/** The variables of a workflow's context that say who did something. */
export interface RunContext {
  readonly RUNNER_TEMP?: string | undefined;
  readonly GITHUB_ACTOR?: string | undefined;
  readonly GITHUB_REPOSITORY?: string | undefined;
  readonly GITHUB_RUN_ID?: string | undefined;
  readonly GITHUB_RUN_ATTEMPT?: string | undefined;
  readonly GITHUB_ACTION?: string | undefined;
}

/**
 * Opens the catalog for reading. A catalog that is down is a warning and no failure: everything works from the Neon API
 * as well.
 */
export async function openCatalogIfThere(
  url: string | undefined,
  { mask, signal }: { readonly mask: (secret: string) => void; readonly signal: AbortSignal },
): Promise<Catalog | undefined> {
  if (url === undefined) return undefined;
  mask(url);
  try {
    return await openCatalog(url, { authorities: await trustedAuthorities(process.env), signal });
  } catch (thrown) {
    signal.throwIfAborted();
    core.warning(
      printableLine(`The catalog cannot be reached, going on without it: ${redact(explain(thrown).message)}`),
    );
    return undefined;
  }
}

/**
 * Tells the catalog what was done. When that fails it is kept in a file that `command: sync` tells it later; a migration
 * or a backup never fails for it. Also works after a cancellation: it has no signal, and is short.
 */
export async function tellCatalog(
  url: string | undefined,
  batch: CatalogBatch,
  env: RunContext = process.env,
): Promise<void> {
  if (url === undefined) return;
  try {
    const catalog = await openCatalog(url, { authorities: await trustedAuthorities(process.env) });
    try {
      await catalog.write(batch);
    } finally {
      await catalog.end();
    }
  } catch (thrown) {
    const file = await keepBatch(batch, env);
    core.setOutput('catalog-replay', file);
    const why = redact(explain(thrown).message);
    core.warning(
      printableLine(
        `The catalog was not told (${why}). It is kept in ${file}: run provision with "command: sync" and "replay: ${file}" later.`,
      ),
    );
  }
}

async function keepBatch(batch: CatalogBatch, env: RunContext): Promise<string> {
  const folder = path.join(env.RUNNER_TEMP ?? tmpdir(), 'neon-fleet');
  await mkdir(folder, { recursive: true });
  const file = path.join(folder, `catalog-${randomUUID()}.json`);
  await writeFile(file, `${JSON.stringify(batch)}\n`);
  return file;
}

/** What is known about a tenant besides its outcome. */
export interface KnownTenant {
  readonly key?: string;
  readonly regionId?: string;
  readonly pgVersion?: number;
  readonly from?: string;
  readonly to?: string;
}

/**
 * A report as the catalog takes it.
 *
 * @param planId with a plan: the same for all of its shards, which become one run.
 */
export function runRecordOf(
  report: FleetReport,
  known: (outcome: Outcome) => KnownTenant = () => ({}),
  { planId, env = process.env }: { readonly planId?: string; readonly env?: RunContext } = {},
): RunRecord {
  const own = [env.GITHUB_REPOSITORY, env.GITHUB_RUN_ID, env.GITHUB_RUN_ATTEMPT, env.GITHUB_ACTION, report.startedAt];
  return {
    runKey: `${report.action}/${planId ?? own.filter((part) => part !== undefined).join('/')}`,
    action: report.action,
    command: report.command,
    verdict: report.verdict,
    startedAt: report.startedAt,
    durationMs: report.durationMs,
    ...(report.runUrl === undefined ? {} : { runUrl: report.runUrl }),
    ...(env.GITHUB_ACTOR === undefined ? {} : { actor: env.GITHUB_ACTOR }),
    outcomes: report.outcomes
      .filter(({ projectId }) => projectId !== '')
      .map((outcome) => outcomeRecord(outcome, known(outcome))),
  };
}

function outcomeRecord(outcome: Outcome, known: KnownTenant): OutcomeRecord {
  const errorCode = 'error' in outcome ? outcome.error.code : undefined;
  return {
    projectId: outcome.projectId,
    name: outcome.name,
    database: outcome.database,
    status: outcome.status,
    ...('reason' in outcome ? { reason: outcome.reason } : {}),
    ...(errorCode === undefined ? {} : { errorCode }),
    attempts: outcome.attempts,
    startedAt: outcome.startedAt,
    durationMs: outcome.durationMs,
    ...(outcome.migration?.from === undefined ? {} : { from: outcome.migration.from }),
    ...(outcome.migration?.to === undefined ? {} : { to: outcome.migration.to }),
    ...known,
  };
}
