import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';

/**
 * Writes a migrations folder of drizzle's journal format: one file for each entry, a minute apart, in the order given.
 * Parts of a file are separated by drizzle's breakpoint.
 */
export async function writeMigrations(
  folder: string,
  files: Readonly<Record<string, readonly string[]>>,
): Promise<string> {
  await mkdir(path.join(folder, 'meta'), { recursive: true });
  const entries = Object.keys(files).map((tag, idx) => ({
    idx,
    version: '7',
    when: Date.UTC(2026, 0, 1) + idx * 60_000,
    tag,
    breakpoints: true,
  }));
  await writeFile(
    path.join(folder, 'meta', '_journal.json'),
    JSON.stringify({ version: '7', dialect: 'postgresql', entries }, null, 2),
  );
  for (const [tag, parts] of Object.entries(files)) {
    await writeFile(path.join(folder, `${tag}.sql`), parts.join('\n--> statement-breakpoint\n'));
  }
  return folder;
}

/** The guide's three tables, small. */
export const GUIDE_TABLES = [
  'CREATE TABLE users (id serial PRIMARY KEY, name text NOT NULL)',
  'CREATE TABLE projects (id serial PRIMARY KEY, owner_id int NOT NULL REFERENCES users (id))',
  'CREATE TABLE tasks (id serial PRIMARY KEY, project_id int NOT NULL REFERENCES projects (id), title text NOT NULL)',
] as const;
