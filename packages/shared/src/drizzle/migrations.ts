import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';

import { readMigrationFiles as readJournalFormat } from 'drizzle-orm/migrator';
import { readMigrationFiles as readFolderFormat } from 'drizzle-orm-v1/migrator';
import { z } from 'zod';

import { ExplainedError } from '../errors/index.js';
import {
  asksForNoTransaction,
  findIgnoredDirective,
  NO_TRANSACTION,
  objectionTo,
  statementsOutside,
} from './no-transaction.js';
import { findTransactionControl, readsStandardInput } from './transaction-control.js';

/** One migration of the folder, as drizzle reads it. */
export interface Migration {
  /** Its name: of the file without `.sql`, such as `0001_add_tasks`, or of the folder, `20260102030405_add_tasks`. */
  readonly tag: string;
  /** When it was generated, in milliseconds since 1970: what drizzle's table records as `created_at`. */
  readonly when: number;
  /** SHA-256 of the file, in hex, as drizzle's table records it. */
  readonly hash: string;
  /** The parts between the statement breakpoints; without a transaction: single statements. */
  readonly statements: readonly string[];
  /** Whether the file asks to be run outside a transaction, as `CREATE INDEX CONCURRENTLY` has to be. */
  readonly noTransaction: boolean;
}

/** `v0`: a journal, and tables that know times (drizzle up to 0.45). `v1`: folders, and tables that know names (1.0). */
export type DrizzleFormat = 'v0' | 'v1';

/** A folder of migrations, in the order in which drizzle applies them. */
export interface MigrationFolder {
  readonly format: DrizzleFormat;
  readonly migrations: readonly Migration[];
  /** SHA-256 over names, times, contents and order: two folders of the same digest do the same. */
  readonly digest: string;
}

/** What both of drizzle's readers give for a migration. */
interface DrizzleFile {
  readonly sql: readonly string[];
  readonly folderMillis: number;
  readonly hash: string;
}

const JOURNAL = path.join('meta', '_journal.json');

const journalSchema = z.object({
  dialect: z.string(),
  entries: z.array(z.object({ idx: z.int(), when: z.number(), tag: z.string().min(1) })),
});

const snapshotSchema = z.object({ dialect: z.string() });

const POSTGRESQL: ReadonlySet<string> = new Set(['postgresql', 'postgres', 'pg']);

/** `YYYYMMDDHHmmss` at the beginning of a folder's name: a text that is a time. */
const FOLDER_TIME = /^\d{14}(?!\d)/;

/**
 * Reads a folder that `drizzle-kit generate` wrote, with drizzle's own readers, so that order and hashes are drizzle's.
 * Which of the two formats it has is seen from what is in it.
 *
 * @throws ExplainedError when the folder is not one, is empty, or holds what cannot be applied safely.
 */
export async function readMigrations(folder: string): Promise<MigrationFolder> {
  const { format } = lookAtMigrations(folder);
  const named = await (format === 'v0' ? readJournal(folder) : readFolders(folder));
  const migrations = named.map(([tag, file]) => toMigration(tag, file));
  for (const migration of migrations) refuseUnsafe(folder, format, migration);
  return { format, migrations, digest: digestOf(format, migrations) };
}

/** What a folder holds, from a look at it that reads no migration. */
export interface MigrationsLook {
  readonly format: DrizzleFormat;
  readonly migrations: readonly Pick<Migration, 'tag'>[];
}

/**
 * Looks whether a folder is one that drizzle-kit wrote, and what its migrations are called. Quick and synchronous: what is
 * wrong about the folder is told together with all the rest that is wrong with the inputs.
 *
 * @throws UnusableFolderError
 */
export function lookAtMigrations(folder: string): MigrationsLook {
  const hasJournal = existsSync(path.join(folder, JOURNAL));
  const folders = entriesOf(folder).filter((entry) => existsSync(path.join(folder, entry, 'migration.sql')));
  const hasFolders = folders.length > 0;
  if (hasJournal && hasFolders) {
    throw unusable(
      folder,
      `it has both a ${JOURNAL} and folders of drizzle-kit 1.0`,
      'Finish the change of format with: npx drizzle-kit up',
    );
  }
  if (!hasJournal && !hasFolders) {
    throw unusable(folder, `it has no ${JOURNAL}`, 'Generate it with: npx drizzle-kit generate');
  }
  if (hasJournal) return { format: 'v0', migrations: journalOf(folder) };
  return { format: 'v1', migrations: folders.toSorted().map((tag) => ({ tag })) };
}

function journalOf(folder: string): z.infer<typeof journalSchema>['entries'] {
  let text: string;
  try {
    text = readFileSync(path.join(folder, JOURNAL), 'utf8');
  } catch {
    throw unusable(folder, `its ${JOURNAL} cannot be read`);
  }
  const journal = journalSchema.safeParse(parseJson(text));
  if (!journal.success) throw unusable(folder, `its ${JOURNAL} is not a journal of drizzle`);
  refuseOtherDialect(folder, journal.data.dialect);
  if (journal.data.entries.length === 0) throw unusable(folder, 'it holds no migration yet');
  return journal.data.entries;
}

function readJournal(folder: string): (readonly [string, DrizzleFile])[] {
  const entries = journalOf(folder);
  const files = readWith(folder, readJournalFormat);
  return files.map((file, index) => [entries[index]?.tag ?? String(index), file]);
}

async function readFolders(folder: string): Promise<(readonly [string, DrizzleFile])[]> {
  const files = readWith(folder, readFolderFormat);
  const nameless = files.find(({ name, folderMillis }) => !FOLDER_TIME.test(name) || !Number.isFinite(folderMillis));
  if (nameless !== undefined) {
    throw unusable(
      folder,
      `the folder ${JSON.stringify(nameless.name)} does not begin with the time it was generated at`,
      'drizzle records that time. Name it as drizzle-kit does: YYYYMMDDHHmmss_name',
    );
  }
  const snapshotFile = path.join(folder, files.at(-1)?.name ?? '', 'snapshot.json');
  if (existsSync(snapshotFile)) {
    const snapshot = snapshotSchema.safeParse(parseJson(await readFile(snapshotFile, 'utf8')));
    if (snapshot.success) refuseOtherDialect(folder, snapshot.data.dialect);
  }
  return files.map((file) => [file.name, file]);
}

function readWith<File extends DrizzleFile>(
  folder: string,
  reader: (config: { migrationsFolder: string }) => readonly File[],
): readonly File[] {
  try {
    return reader({ migrationsFolder: folder });
  } catch (thrown) {
    throw unusable(folder, thrown instanceof Error ? thrown.message : 'drizzle cannot read it');
  }
}

function toMigration(tag: string, { sql, folderMillis, hash }: DrizzleFile): Migration {
  const noTransaction = asksForNoTransaction(sql[0] ?? '');
  const statements = noTransaction ? statementsOutside(sql) : sql;
  return { tag, when: folderMillis, hash, statements, noTransaction };
}

function refuseUnsafe(folder: string, format: DrizzleFormat, migration: Migration): void {
  const { statements, noTransaction } = migration;
  const file = fileOf(format, migration);
  const ignored = statements.flatMap((sql, index) => findIgnoredDirective(sql, noTransaction && index === 0) ?? [])[0];
  if (ignored !== undefined) {
    throw unusable(
      folder,
      `${file} has the line ${JSON.stringify(ignored)}, which would be ignored`,
      `A file that has to run outside a transaction begins with the line ${NO_TRANSACTION}`,
    );
  }
  const [control] = findTransactionControl([migration]);
  if (control !== undefined) {
    throw unusable(
      folder,
      `${file}, statement ${control.part}, has a ${control.command} of its own`,
      noTransaction
        ? 'A file without a transaction is run statement by statement. Take the statement out.'
        : 'A migration and its row are one transaction, which is what lets a failed one leave nothing behind. Take the statement out.',
    );
  }
  const copy = statements.findIndex(readsStandardInput);
  if (copy !== -1) {
    throw unusable(
      folder,
      `${file}, statement ${copy + 1}, copies from STDIN, and a migration has nothing to send`,
      'Write the rows as INSERT.',
    );
  }
  const objection = noTransaction ? objectionTo(statements) : undefined;
  if (objection !== undefined) {
    throw unusable(folder, `${file}, statement ${objection.statement}, ${objection.why}`, objection.hint);
  }
}

/** How a migration's file is called in messages. */
export function fileOf(format: DrizzleFormat, { tag }: Pick<Migration, 'tag'>): string {
  return format === 'v0' ? `${tag}.sql` : `${tag}/migration.sql`;
}

/**
 * Finds the migration that somebody means: its whole tag, or a beginning that only one of them has, such as `0003`.
 *
 * @throws ExplainedError that names what there is.
 */
export function findMigration<M extends Pick<Migration, 'tag'>>(
  { migrations }: { readonly migrations: readonly M[] },
  text: string,
): M {
  const exact = migrations.find(({ tag }) => tag === text);
  if (exact !== undefined) return exact;
  const beginning = text === '' ? [] : migrations.filter(({ tag }) => tag.startsWith(text));
  const [only, ...others] = beginning;
  if (only !== undefined && others.length === 0) return only;
  const choices = (only === undefined ? migrations : beginning).slice(-NAMED_CHOICES).map(({ tag }) => tag);
  throw new ExplainedError({
    message:
      only === undefined
        ? `no migration is called ${JSON.stringify(text)}, and none begins with it; nothing was done`
        : `${beginning.length} migrations begin with ${JSON.stringify(text)}; nothing was done`,
    hint: `${only === undefined ? 'The newest of the folder' : 'Say which one'}: ${choices.join(', ')}`,
  });
}

const NAMED_CHOICES = 5;

/**
 * Digest of a folder's migrations up to one of them: two folders that agree so far have the same one. Undefined when the
 * folder does not have it.
 */
export function digestUpTo({ format, migrations }: MigrationFolder, tag: string): string | undefined {
  const end = migrations.findIndex((migration) => migration.tag === tag) + 1;
  return end === 0 ? undefined : digestOf(format, migrations.slice(0, end));
}

function digestOf(format: DrizzleFormat, migrations: readonly Migration[]): string {
  const facts = migrations.map(({ tag, when, hash }) => [tag, when, hash]);
  return createHash('sha256')
    .update(JSON.stringify([format, facts]))
    .digest('hex');
}

function entriesOf(folder: string): string[] {
  if (!existsSync(folder)) {
    throw unusable(
      folder,
      'there is no such folder',
      'Is the repository checked out, and the path right? It is taken from the working directory.',
    );
  }
  try {
    return readdirSync(folder);
  } catch {
    throw unusable(folder, 'it is not a folder that can be read');
  }
}

function refuseOtherDialect(folder: string, dialect: string): void {
  if (!POSTGRESQL.has(dialect)) {
    throw unusable(folder, `its migrations are for ${JSON.stringify(dialect)}, not for PostgreSQL`);
  }
}

/** The folder is not what drizzle-kit writes, or holds what cannot be applied safely. */
export class UnusableFolderError extends ExplainedError {
  constructor(
    folder: string,
    readonly why: string,
    hint?: string,
  ) {
    super({
      message: `migrations-folder: ${JSON.stringify(folder)} cannot be used: ${why}; nothing was done`,
      ...(hint === undefined ? {} : { hint }),
    });
  }
}

function unusable(...about: ConstructorParameters<typeof UnusableFolderError>): UnusableFolderError {
  return new UnusableFolderError(...about);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
