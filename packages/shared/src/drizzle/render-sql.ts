import { fileOf, type Migration, type MigrationFolder } from './migrations.js';

/** The SQL that would run, file by file, as it is written: for people to read before it does. */
export function renderPendingSql(
  migrations: readonly Migration[],
  { format }: Pick<MigrationFolder, 'format'> = { format: 'v0' },
): string {
  return migrations
    .map((migration) => {
      const { statements, noTransaction } = migration;
      const title = `-- ${fileOf(format, migration)}${noTransaction ? ' (outside a transaction)' : ''}`;
      return [title, ...statements.map(ended).filter((statement) => statement !== '')].join('\n');
    })
    .join('\n\n');
}

/** A statement with a semicolon, which those that were told apart by drizzle's breakpoints may lack. */
function ended(statement: string): string {
  const text = statement.trim();
  if (text === '') return '';
  // On a line of its own after a comment that would swallow it.
  const lastLine = text.slice(text.lastIndexOf('\n') + 1);
  if (text.endsWith(';')) return text;
  return lastLine.includes('--') ? `${text}\n;` : `${text};`;
}
