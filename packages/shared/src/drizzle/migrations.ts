import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';

import { readMigrationFiles } from 'drizzle-orm/migrator';
import { z } from 'zod';

import { ExplainedError } from '../errors/index.js';
import { findTransactionControl, type TransactionControl } from './transaction-control.js';

/** One migration of the folder, as drizzle reads it. */
export interface Migration {
  /** Name of the file without `.sql`, such as `0001_add_tasks`. */
  readonly tag: string;
  /** When it was generated, in milliseconds since 1970: the version that drizzle's table records. */
  readonly when: number;
  /** SHA-256 of the file, in hex, as drizzle's table records it. */
  readonly hash: string;
  /** The parts between the statement breakpoints. */
  readonly statements: readonly string[];
}

const journalSchema = z.object({
  dialect: z.string(),
  entries: z.array(z.object({ idx: z.int(), when: z.number(), tag: z.string().min(1) })),
});

/**
 * Reads a folder that `drizzle-kit generate` wrote, with drizzle's own reader, so that order and hashes are drizzle's.
 *
 * @throws ExplainedError when the folder is not one, is empty, or is of a format that is not supported.
 */
export async function readMigrations(folder: string): Promise<readonly Migration[]> {
  const journalFile = path.join(folder, 'meta', '_journal.json');
  if (!existsSync(journalFile)) throw await notAMigrationsFolder(folder);

  const journal = journalSchema.safeParse(parseJson(await readFile(journalFile, 'utf8')));
  if (!journal.success) throw unusable(folder, `its ${path.join('meta', '_journal.json')} is not a journal of drizzle`);
  if (journal.data.dialect !== 'postgresql' && journal.data.dialect !== 'pg') {
    throw unusable(folder, `its migrations are for ${JSON.stringify(journal.data.dialect)}, not for PostgreSQL`);
  }
  if (journal.data.entries.length === 0) throw unusable(folder, 'it holds no migration yet');

  let files: ReturnType<typeof readMigrationFiles>;
  try {
    files = readMigrationFiles({ migrationsFolder: folder });
  } catch (thrown) {
    throw unusable(folder, thrown instanceof Error ? thrown.message : 'drizzle cannot read it');
  }
  const migrations = files.map((file, index) => ({
    tag: journal.data.entries[index]?.tag ?? String(index),
    when: file.folderMillis,
    hash: file.hash,
    statements: file.sql,
  }));
  const [control] = findTransactionControl(migrations);
  if (control !== undefined) throw endsTheTransaction(folder, control);
  return migrations;
}

function endsTheTransaction(folder: string, { tag, part, command }: TransactionControl): ExplainedError {
  return unusable(
    folder,
    `${tag}.sql, statement ${part}, has a ${command} of its own`,
    'All pending migrations are applied in one transaction, which is what lets a failed one leave nothing behind. Take the statement out.',
  );
}

async function notAMigrationsFolder(folder: string): Promise<ExplainedError> {
  const entries = existsSync(folder) ? await readdir(folder).catch(() => 'not a folder' as const) : undefined;
  if (entries === undefined) {
    return unusable(
      folder,
      'there is no such folder',
      'Is the repository checked out, and the path right? It is taken from the working directory.',
    );
  }
  if (entries === 'not a folder') return unusable(folder, 'it is not a folder that can be read');
  if (entries.some((entry) => existsSync(path.join(folder, entry, 'migration.sql')))) {
    return unusable(
      folder,
      'it has the layout of drizzle-kit 1.0, which is not supported yet',
      'Use drizzle-kit 0.31.',
    );
  }
  return unusable(
    folder,
    `it has no ${path.join('meta', '_journal.json')}`,
    'Generate it with: npx drizzle-kit generate',
  );
}

function unusable(folder: string, why: string, hint?: string): ExplainedError {
  return new ExplainedError({
    message: `migrations-folder: ${JSON.stringify(folder)} cannot be used: ${why}; nothing was done`,
    ...(hint === undefined ? {} : { hint }),
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
