import { randomUUID } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import * as core from '@actions/core';

import { openCatalog, type Catalog, type CatalogBatch } from '../catalog/index.js';
import { explain, ExplainedError } from '../errors/index.js';
import { trustedAuthorities } from '../postgres/index.js';
import { abortable, abortedLater } from '../s3/index.js';
import { redact } from './masking.js';
import { printableLine } from './printable.js';

/** The variables of a workflow's context that say who did something. */
export interface RunContext {
  readonly RUNNER_TEMP?: string | undefined;
  readonly GITHUB_ACTOR?: string | undefined;
  readonly GITHUB_REPOSITORY?: string | undefined;
  readonly GITHUB_RUN_ID?: string | undefined;
  readonly GITHUB_RUN_ATTEMPT?: string | undefined;
  readonly GITHUB_ACTION?: string | undefined;
}

/** @throws PostgresError, ExplainedError; the signal's reason. */
export async function connectCatalog(url: string, signal: AbortSignal): Promise<Catalog> {
  return openCatalog(url, { authorities: await trustedAuthorities(process.env), signal });
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
    return await connectCatalog(url, signal);
  } catch (thrown) {
    signal.throwIfAborted();
    core.warning(
      printableLine(`The catalog cannot be reached, going on without it: ${redact(explain(thrown).message)}`),
    );
    return undefined;
  }
}

/**
 * Opens the catalog for a run that takes its tenants or their versions from there: nothing else can stand in for it.
 *
 * @throws ExplainedError when it cannot be reached; the signal's reason.
 */
export async function openNeededCatalog(
  url: string,
  { mask, signal }: { readonly mask: (secret: string) => void; readonly signal: AbortSignal },
): Promise<Catalog> {
  mask(url);
  try {
    return await connectCatalog(url, signal);
  } catch (thrown) {
    signal.throwIfAborted();
    const { message, code, hint } = explain(thrown);
    throw new ExplainedError(
      {
        message: `the catalog cannot be reached, and this run needs it; nothing was done: ${redact(message)}`,
        ...(code === undefined ? {} : { code }),
        hint: hint ?? 'Run again when it is there, or without it: source: neon, state: none.',
      },
      { cause: thrown },
    );
  }
}

/**
 * Takes back, before branches are put back, what the catalog is certain about in these projects: a run that is killed in
 * the middle must not leave a version behind that is not there any more.
 */
export async function castDoubt(
  url: string | undefined,
  tenants: readonly { readonly projectId: string }[],
  { mask, stop }: { readonly mask: (secret: string) => void; readonly stop: { readonly signal: AbortSignal } },
): Promise<void> {
  await using catalog = await openCatalogIfThere(url, { mask, signal: stop.signal });
  if (catalog === undefined) return;
  try {
    await catalog.doubt(tenants.map(({ projectId }) => projectId));
  } catch (thrown) {
    core.warning(printableLine(`The catalog was not told what is about to change: ${redact(explain(thrown).message)}`));
  }
}

/** How long telling the catalog may take. A run that is being cancelled has a few seconds in all. */
const TELL_LIMIT_MS = 60_000;
const TELL_LIMIT_WHEN_STOPPING_MS = 1_500;

/**
 * Tells the catalog what was done. It is kept in a file first, so that it is there whatever happens to this process; the
 * file goes away when the catalog has it. When that fails `command: sync` tells it later: a migration or a backup never
 * fails for it.
 *
 * @param stop of the run: also after a cancellation, before this or meanwhile, it is tried, but not for long.
 */
export async function tellCatalog(
  url: string | undefined,
  batch: CatalogBatch,
  env: RunContext = process.env,
  stop: AbortSignal = new AbortController().signal,
): Promise<void> {
  if (url === undefined) return;
  const limit = tellLimit(stop);
  const file = await keepBatch(batch, env).catch(() => undefined);
  try {
    // Not waited for beyond its limit: a connection that hangs takes some time to be cut, and a run that ends has none.
    await abortable(write(url, batch, limit.signal), limit.signal);
    if (file !== undefined) await rm(file, { force: true });
  } catch (thrown) {
    const why = redact(explain(thrown).message);
    const kept =
      file === undefined
        ? 'It could not be kept in a file either.'
        : `It is kept in ${file}: run provision with "command: sync" and "replay: ${file}" later.`;
    if (file !== undefined) core.setOutput('catalog-replay', file);
    core.warning(printableLine(`The catalog was not told (${why}). ${kept}`));
  } finally {
    limit.dispose();
  }
}

/** Aborted when telling has taken too long; a stop leaves less time, whenever it comes. */
function tellLimit(stop: AbortSignal): { readonly signal: AbortSignal; readonly dispose: () => void } {
  const late = new AbortController();
  const timer = setTimeout(
    () => late.abort(new DOMException('The operation was aborted due to timeout', 'TimeoutError')),
    TELL_LIMIT_MS,
  );
  const hurry = abortedLater(stop, TELL_LIMIT_WHEN_STOPPING_MS);
  hurry.signal.addEventListener('abort', () => late.abort(hurry.signal.reason), { once: true });
  return {
    signal: late.signal,
    dispose: () => {
      clearTimeout(timer);
      hurry.dispose();
    },
  };
}

async function write(url: string, batch: CatalogBatch, signal: AbortSignal): Promise<void> {
  await using catalog = await connectCatalog(url, signal);
  await catalog.write(batch);
}

async function keepBatch(batch: CatalogBatch, env: RunContext): Promise<string> {
  const folder = path.join(env.RUNNER_TEMP ?? tmpdir(), 'neon-fleet');
  await mkdir(folder, { recursive: true });
  const file = path.join(folder, `catalog-${randomUUID()}.json`);
  await writeFile(file, `${JSON.stringify(batch)}\n`);
  return file;
}
