import type { Migration } from './migrations.js';

/** A statement of a migration that would end the transaction it is applied in, or begin another. */
export interface TransactionControl {
  readonly tag: string;
  /** Counted from 1, between drizzle's breakpoints. */
  readonly part: number;
  /** As it is written, such as `COMMIT`. */
  readonly command: string;
}

// Where a word is not a command: comments, strings (with and without escapes), quoted names, dollar-quoted bodies.
// PostgreSQL's own parser would be the better judge; as WebAssembly it cannot be part of an ESM bundle.
const OPAQUE =
  /--[^\n]*|\/\*[\s\S]*?\*\/|\be'(?:[^'\\]|\\[\s\S]|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|\$([a-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$[\s\S]*?\$\1\$/gi;

const COMMAND =
  /^(begin|start\s+transaction|commit|end|abort|rollback(?!\s+(work\s+|transaction\s+)?to\b)|prepare\s+transaction)\b/i;

/** The body of an SQL-standard function stands in the open, between `BEGIN ATOMIC` and `END`. */
const ATOMIC_BODY = /\bbegin\s+atomic\b[\s\S]*?;\s*end\b/gi;

/**
 * Finds statements such as `COMMIT` in migrations. After one of these a failure could not be rolled back any more, and
 * "failed" would no longer mean "unchanged". Savepoints are a migration's own affair.
 */
export function findTransactionControl(migrations: readonly Migration[]): TransactionControl[] {
  return migrations.flatMap(({ tag, statements }) =>
    statements.flatMap((sql, index) => commandsIn(sql).map((command) => ({ tag, part: index + 1, command }))),
  );
}

function commandsIn(sql: string): string[] {
  const bare = sql.replace(OPAQUE, (text) => (/^(--|\/\*)/.test(text) ? ' ' : "''")).replace(ATOMIC_BODY, "''");
  return bare
    .split(';')
    .map((statement) => COMMAND.exec(statement.trim())?.[0])
    .filter((command) => command !== undefined)
    .map((command) => command.replace(/\s+/g, ' ').toUpperCase());
}
