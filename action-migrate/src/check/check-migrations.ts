import { cp, readdir, readFile } from 'node:fs/promises';
import path from 'node:path';

import { ExplainedError, systemCode } from '@neon-fleet/shared/errors';

import {
  describeConfig,
  inScratchFolder,
  temporaryPlace,
  writeWrapper,
  type ConfigRun,
} from '../kit/describe-config.js';
import { kitEnvironment, NO_DATABASE } from '../kit/environment.js';
import { findConfigs } from '../kit/find-configs.js';
import { findDrizzleKit } from '../kit/find-kit.js';
import { asksSomething, hasFailed, runKit, type KitExit } from '../kit/run-kit.js';

export interface CheckOptions {
  /** The input of the same name. */
  readonly drizzleConfig: string | undefined;
  readonly drizzleUrlVariable: string | undefined;
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
  readonly timeLimitMs: number;
  readonly note: (line: string) => void;
}

/** What was found about the migrations of one drizzle.config. */
export interface ConfigCheck {
  readonly config: string;
  /** Folder of the migrations, from the working directory. */
  readonly folder: string;
  /** What `drizzle-kit check` objects to; absent: nothing. */
  readonly objection?: string;
  readonly schema: SchemaCheck;
}

/** Whether the schema in the code has more in it than the migrations. */
export type SchemaCheck =
  | { readonly kind: 'in-step' }
  /** `drizzle-kit generate` would write these. */
  | { readonly kind: 'ahead'; readonly files: readonly { readonly name: string; readonly sql: string }[] }
  /** It is ahead, and drizzle-kit would ask a person whether something was renamed. */
  | { readonly kind: 'ahead-and-unclear'; readonly output: string }
  | { readonly kind: 'unknown'; readonly output: string };

/**
 * Checks the repository's migrations without a database and without credentials: `drizzle-kit check`, and whether
 * `drizzle-kit generate` would write something. Both work on a copy; the repository stays as it is.
 *
 * @throws ExplainedError when drizzle-kit or its config cannot be used.
 */
export async function checkMigrations(options: CheckOptions): Promise<ConfigCheck[]> {
  const { cwd, drizzleConfig, drizzleUrlVariable, env, signal, timeLimitMs, note } = options;
  const kit = await findDrizzleKit(cwd);
  const configs = await findConfigs(drizzleConfig, cwd);
  const files = configs.kind === 'one' ? [configs.file] : configs.files;
  if (files.length === 0) throw nothingToCheck(drizzleConfig ?? '');
  const placeholders = ['DATABASE_URL', ...(drizzleUrlVariable === undefined ? [] : [drizzleUrlVariable])];
  const checks: ConfigCheck[] = [];
  // One after the other: each is a process that takes a core.
  for (const config of files) {
    note(`Checking ${config} with drizzle-kit ${kit.version}`);
    const own = Object.fromEntries([...placeholders, ...guideVariables(config)].map((name) => [name, NO_DATABASE]));
    const run = {
      kit,
      config,
      cwd,
      temporary: temporaryPlace(env),
      env: kitEnvironment(env, own),
      signal,
      timeLimitMs,
    };
    checks.push(await checkConfig(run));
  }
  return checks;
}

/** Green because nothing was looked at would be the worst answer. */
function nothingToCheck(pattern: string): ExplainedError {
  return new ExplainedError({
    message: `drizzle-config: ${JSON.stringify(pattern)} matches no file; nothing was checked`,
    hint: 'It is taken from the working directory. Is the repository checked out, and the pattern right?',
  });
}

/** The variable of the guide's layout, by the name of the folder. */
function guideVariables(config: string): string[] {
  const name = `${path.basename(path.dirname(config)).replaceAll('-', '_').toUpperCase()}_DATABASE_URL`;
  return /^[A-Z_][A-Z0-9_]*$/.test(name) ? [name] : [];
}

async function checkConfig(run: ConfigRun): Promise<ConfigCheck> {
  const { out } = await describeConfig(run);
  return inScratchFolder(run.temporary, async (scratch) => {
    const copy = path.join(scratch, 'migrations');
    await cp(out, copy, { recursive: true }).catch((thrown: unknown) => {
      // Before the first migration there is no folder.
      if (!isMissing(thrown)) throw thrown;
    });
    const fromCwd = JSON.stringify(path.relative(run.cwd, copy));
    const wrapper = await writeWrapper(scratch, run, `export default { ...own, out: ${fromCwd} };`);
    const before = await filesIn(copy);
    const checked = await runKit({ ...run, args: ['check', '--config', wrapper] });
    const generated = await runKit({ ...run, args: ['generate', '--config', wrapper] });
    const shown = (text: string) => text.replaceAll(scratch, '').replaceAll(path.relative(run.cwd, copy), out);
    return {
      config: run.config,
      folder: path.relative(run.cwd, out),
      ...(hasFailed(checked) ? { objection: shown(`drizzle-kit check ${checked.words}\n${checked.output}`) } : {}),
      schema: await judge(generated, copy, before, shown),
    };
  });
}

async function judge(
  exit: KitExit,
  folder: string,
  before: ReadonlySet<string>,
  shown: (text: string) => string,
): Promise<SchemaCheck> {
  const output = shown(`drizzle-kit generate ${exit.words}\n${exit.output}`);
  if (asksSomething(exit)) return { kind: 'ahead-and-unclear', output };
  if (hasFailed(exit)) return { kind: 'unknown', output };
  const names = [...(await filesIn(folder))].filter((name) => !before.has(name) && name.endsWith('.sql'));
  if (names.length === 0) return { kind: 'in-step' };
  const files = names.map(async (name) => ({ name, sql: await readFile(path.join(folder, name), 'utf8') }));
  return { kind: 'ahead', files: await Promise.all(files) };
}

async function filesIn(folder: string): Promise<ReadonlySet<string>> {
  try {
    return new Set(await readdir(folder, { recursive: true }));
  } catch (thrown) {
    if (isMissing(thrown)) return new Set();
    throw thrown;
  }
}

function isMissing(thrown: unknown): boolean {
  return systemCode(thrown) === 'ENOENT';
}
