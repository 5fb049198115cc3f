import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

import { ROOT } from '../../../scripts/actions.js';
import { findDrizzleKit } from '../../src/kit/find-kit.js';

const run = promisify(execFile);

/** drizzle 0.x as it is installed here, or 1.0 in a place of its own. */
export type DrizzleMajor = '0' | '1';

const HOMES: Record<DrizzleMajor, string> = { '0': ROOT, '1': path.join(ROOT, 'test', 'apps', 'drizzle-1') };

export const USERS = `export const users = pgTable('users', { id: serial('id').primaryKey(), name: text('name').notNull() });`;

/** An app that uses drizzle, in a folder from which the real packages are found. */
export class DrizzleApp implements AsyncDisposable {
  private constructor(readonly folder: string) {}

  static async create(major: DrizzleMajor, schema: string = USERS): Promise<DrizzleApp> {
    const folder = path.join(HOMES[major], '.neon-fleet', `test-${randomUUID()}`);
    await mkdir(path.join(folder, 'src'), { recursive: true });
    const app = new DrizzleApp(folder);
    await app.write('package.json', '{ "name": "app", "private": true }');
    await app.writeSchema(schema);
    await app.writeConfig('drizzle.config.ts', 'DATABASE_URL', './drizzle');
    return app;
  }

  async write(file: string, text: string): Promise<void> {
    await mkdir(path.dirname(path.join(this.folder, file)), { recursive: true });
    await writeFile(path.join(this.folder, file), text);
  }

  async writeSchema(schema: string): Promise<void> {
    await this.write(
      'src/schema.ts',
      `import { pgTable, serial, text, integer } from 'drizzle-orm/pg-core';\n${schema}\n`,
    );
  }

  /** A config as Neon's guide writes it. */
  async writeConfig(file: string, variable: string, out: string): Promise<void> {
    await this.write(
      file,
      `import { defineConfig } from 'drizzle-kit';
       if (!process.env.${variable}) throw new Error('${variable} is not set');
       export default defineConfig({
         out: '${out}', schema: './src/schema.ts', dialect: 'postgresql', dbCredentials: { url: process.env.${variable}! },
       });`,
    );
  }

  /** Runs the real drizzle-kit in the app. */
  async kit(args: readonly string[], env: Record<string, string> = {}): Promise<string> {
    const { program } = await findDrizzleKit(this.folder);
    const { stdout, stderr } = await run(process.execPath, [program, ...args], {
      cwd: this.folder,
      env: { PATH: process.env['PATH'] ?? '', DATABASE_URL: 'postgresql://nobody@127.0.0.1:1/none', ...env },
    });
    return stdout + stderr;
  }

  /** Adds a migration of plain SQL to a folder. */
  async addSql(name: string, sql: string, config = 'drizzle.config.ts'): Promise<void> {
    // drizzle 1.0 names its folders by the second, and puts them in the order of these names.
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    await this.kit(['generate', '--config', config, '--custom', '--name', name]);
    const entries = await readdir(path.join(this.folder, 'drizzle'), { recursive: true });
    const file = entries.find((entry) => entry.includes(name) && entry.endsWith('.sql'));
    await this.write(path.join('drizzle', file ?? ''), sql);
  }

  /** All files with their contents, to see that nothing was touched. */
  async contents(): Promise<Record<string, string>> {
    const entries = await readdir(this.folder, { recursive: true, withFileTypes: true });
    const files = entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
    const read = files
      .toSorted()
      .map(async (file) => [path.relative(this.folder, file), await readFile(file, 'utf8')] as const);
    return Object.fromEntries(await Promise.all(read));
  }

  async copyFolder(from: string, to: string): Promise<void> {
    await cp(path.join(this.folder, from), path.join(this.folder, to), { recursive: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}
