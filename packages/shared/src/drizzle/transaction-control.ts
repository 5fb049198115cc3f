import { maskSql } from './sql-text.js';

/** A statement of a migration that would end the transaction it is applied in, or begin another. */
export interface TransactionControl {
  readonly tag: string;
  /** Counted from 1, between drizzle's breakpoints. */
  readonly part: number;
  /** As it is written, such as `COMMIT`. */
  readonly command: string;
}

const COMMAND =
  /^(begin|start\s+transaction|commit|end|abort|rollback(?!\s+(work\s+|transaction\s+)?to\b)|prepare\s+transaction)\b/i;

/** Would have the server wait for data that nobody sends. */
const COPY_IN = /^copy\b[\s\S]*\bfrom\s+stdin\b/i;

/**
 * Finds statements such as `COMMIT` in migrations. After one of these a failure could not be rolled back any more, and
 * "failed" would no longer mean "unchanged". Savepoints are a migration's own affair.
 */
export function findTransactionControl(
  migrations: readonly { readonly tag: string; readonly statements: readonly string[] }[],
): TransactionControl[] {
  return migrations.flatMap(({ tag, statements }) =>
    statements.flatMap((sql, index) =>
      commandsIn(sql)
        .map((statement) => COMMAND.exec(statement)?.[0])
        .filter((command) => command !== undefined)
        .map((command) => ({ tag, part: index + 1, command: command.replace(/\s+/g, ' ').toUpperCase() })),
    ),
  );
}

/** Whether SQL has a `COPY … FROM STDIN`. */
export function readsStandardInput(sql: string): boolean {
  return commandsIn(sql).some((statement) => COPY_IN.test(statement));
}

function commandsIn(sql: string): string[] {
  return maskSql(sql)
    .split(';')
    .map((statement) => statement.trim());
}
