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
  /--[^\n]*|\be'[^'\\]*(?:(?:\\[\s\S]|'')[^'\\]*)*'|'[^']*(?:''[^']*)*'|"[^"]*(?:""[^"]*)*"|(?<![\w$\u0080-\uffff])\$([a-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$[\s\S]*?\$\1\$|\/\*|\*\//gi;

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
  const bare = withoutOpaque(sql).replace(ATOMIC_BODY, "''");
  return bare
    .split(';')
    .map((statement) => COMMAND.exec(statement.trim())?.[0])
    .filter((command) => command !== undefined)
    .map((command) => command.replace(/\s+/g, ' ').toUpperCase());
}

/** Takes out what is not a command. Comments nest in PostgreSQL, which a regular expression alone cannot follow. */
function withoutOpaque(sql: string): string {
  const kept: string[] = [];
  let depth = 0;
  let from = 0;
  for (const match of sql.matchAll(OPAQUE)) {
    const [text] = match;
    if (depth === 0) kept.push(sql.slice(from, match.index), text.startsWith('--') || text === '/*' ? ' ' : "''");
    if (text === '/*') depth += 1;
    else if (text === '*/') depth = Math.max(0, depth - 1);
    from = match.index + text.length;
  }
  if (depth === 0) kept.push(sql.slice(from));
  return kept.join('');
}
