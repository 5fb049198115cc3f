import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { DRIZZLE_TABLE, type MigrationsTable } from '@neon-fleet/shared/drizzle';
import { ExplainedError } from '@neon-fleet/shared/errors';
import { z } from 'zod';

import { kitError, runKit, type KitRun } from './run-kit.js';

/** What of a drizzle.config matters here. */
export interface ConfigDescription {
  /** Folder of the migrations, absolute. */
  readonly out: string;
  readonly table: MigrationsTable;
}

const descriptionSchema = z.object({
  dialect: z.string().optional(),
  out: z.string().default('drizzle'),
  migrations: z.object({ schema: z.string().optional(), table: z.string().optional() }).default({}),
});

export type ConfigRun = Omit<KitRun, 'args'> & {
  /** Path of the drizzle.config from `cwd`. */
  readonly config: string;
  /** Where temporary folders are made, see {@link temporaryPlace}. */
  readonly temporary: string;
};

/**
 * Reads a drizzle.config as drizzle-kit itself does, whatever language it is written in: drizzle-kit is given a config that
 * imports it, writes down what it says, and ends.
 *
 * @throws ExplainedError when it cannot be read or is not for PostgreSQL.
 */
export async function describeConfig(run: ConfigRun): Promise<ConfigDescription> {
  return inScratchFolder(run.temporary, async (folder) => {
    const answer = path.join(folder, 'config.json');
    const wrapper = await writeWrapper(
      folder,
      run,
      `
      writeFileSync(${JSON.stringify(answer)}, JSON.stringify({ dialect: own.dialect, out: own.out, migrations: own.migrations }));
      process.exit(0);
      export default own;`,
    );
    const exit = await runKit({ ...run, args: ['check', '--config', wrapper] });
    const text = await readFile(answer, 'utf8').catch(() => undefined);
    if (text === undefined) throw kitError(`reading ${run.config}`, exit);
    const { dialect, out, migrations } = descriptionSchema.parse(JSON.parse(text));
    if (dialect !== undefined && dialect !== 'postgresql') {
      throw new ExplainedError({
        message: `${run.config} is for ${JSON.stringify(dialect)}, not for postgresql; nothing was done`,
      });
    }
    return {
      out: path.resolve(run.cwd, out),
      table: {
        schema: migrations.schema ?? DRIZZLE_TABLE.schema,
        table: migrations.table ?? DRIZZLE_TABLE.table,
      },
    };
  });
}

/**
 * Writes a config that is the repository's own but for what is said here. `out` is a path from `cwd`: 0.31 puts `./` before
 * whatever it is given.
 */
export async function writeWrapper(folder: string, { cwd, config }: ConfigRun, rest: string): Promise<string> {
  const file = path.resolve(cwd, config);
  const load = file.endsWith('.json')
    ? `const loaded = { default: JSON.parse(readFileSync(${JSON.stringify(file)}, 'utf8')) };`
    : `import * as loaded from ${JSON.stringify(file)};`;
  const wrapper = path.join(folder, 'drizzle.config.ts');
  await writeFile(
    wrapper,
    `import { readFileSync, writeFileSync } from 'node:fs';
     ${load}
     // What is exported as the default, through as many layers as the module system put around it.
     const module = loaded as any;
     const own = module.default?.default ?? module.default ?? module;
     ${rest}`,
  );
  return wrapper;
}

/** The runner's own place for temporary files, which it empties after each job; else the system's. */
export function temporaryPlace(env: Readonly<Record<string, string | undefined>>): string {
  const place = env['RUNNER_TEMP'] ?? '';
  return place === '' ? tmpdir() : place;
}

/** A temporary folder for some work, removed whatever happens. */
export async function inScratchFolder<T>(place: string, work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(path.join(place, 'neon-fleet-kit-'));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
