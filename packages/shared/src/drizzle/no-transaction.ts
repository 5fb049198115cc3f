import { concurrentReindexOf, type ConcurrentReindex } from './concurrent-reindex.js';
import { MASKED_NAME, maskSql, splitStatements } from './sql-text.js';

/** What a file begins with that has to run outside a transaction. */
export const NO_TRANSACTION = '-- neon-fleet: no-transaction';

const FIRST_LINE = /^\uFEFF?\s*--\s*neon-fleet:\s*no-transaction[ \t]*(?:\r?\n|$)/i;
const ANY_DIRECTIVE = /^[^\S\n]*--\s*neon-fleet:.*$/im;

/** Whether a file asks to be run outside a transaction, by its first line. */
export function asksForNoTransaction(sql: string): boolean {
  return FIRST_LINE.test(sql);
}

/** A comment that was meant for neon-fleet and is not understood: misspelled, or not where it belongs. */
export function findIgnoredDirective(sql: string, isFirst: boolean): string | undefined {
  return ANY_DIRECTIVE.exec(isFirst ? sql.replace(FIRST_LINE, '') : sql)?.[0].trim();
}

/** The single statements of a file that runs outside a transaction: sent together they would share one. */
export function statementsOutside(parts: readonly string[]): string[] {
  return parts.flatMap(splitStatements);
}

/** How a statement behaves that was interrupted and is run once more. */
export type Repetition =
  /** Leaves an index that is not valid, which can be found and built again. */
  | { readonly kind: 'concurrent-index'; readonly index: ConcurrentIndex }
  /** Leaves a copy of an index that is not valid; running it again comes to the same, and leaves one more if it fails. */
  | { readonly kind: 'concurrent-reindex'; readonly reindex: ConcurrentReindex }
  /** Leaves an index as well, but nobody can say which it was. */
  | { readonly kind: 'unnamed-index' }
  /** Running it again does no harm and comes to the same. */
  | { readonly kind: 'repeatable' }
  /** Whether it took effect cannot be seen from the statement, and running it again may fail or do harm. */
  | { readonly kind: 'once' };

/** A `CREATE INDEX CONCURRENTLY`, in parts as they are written. */
export interface ConcurrentIndex {
  readonly unique: boolean;
  readonly name: string;
  readonly table: string;
  /** The table's name without its schema. */
  readonly tableName: string;
  /** What comes after the table: `USING btree (id) WHERE …`. */
  readonly definition: string;
}

const CONCURRENT_INDEX = new RegExp(
  String.raw`^\s*create\s+(unique\s+)?index\s+concurrently\s+(?:if\s+not\s+exists\s+)?(${MASKED_NAME})\s+on\s+(?:only\s+)?((?:${MASKED_NAME}\s*\.\s*)?(${MASKED_NAME}))`,
  'di',
);
const UNNAMED_INDEX = /^\s*create\s+(unique\s+)?index\s+concurrently\s+on\b/i;
const NAME_IN_SCHEMA = String.raw`(?:${MASKED_NAME}\s*\.\s*)?${MASKED_NAME}`;

const REPEATABLE = [
  /^create\s+or\s+replace\b/i,
  /^create\s+(?:[a-z]+\s+){1,4}?if\s+not\s+exists\b/i,
  /^drop\s+(?:[a-z]+\s+){1,4}?if\s+exists\b/i,
  new RegExp(String.raw`^alter\s+type\s+${NAME_IN_SCHEMA}\s+add\s+value\s+if\s+not\s+exists\b`, 'i'),
  /^(vacuum|analy[sz]e|reindex|cluster|checkpoint|refresh\s+materialized\s+view|comment\s+on|grant|revoke|set|reset)\b/i,
];

const ALTER_TABLE = new RegExp(String.raw`^alter\s+table\s+(?:if\s+exists\s+)?(?:only\s+)?${NAME_IN_SCHEMA}\s+`, 'i');
const REPEATABLE_ACTION = [
  /^add\s+(column\s+)?if\s+not\s+exists\b/i,
  /^drop\s+((column|constraint)\s+)?if\s+exists\b/i,
  /^validate\s+constraint\b/i,
  new RegExp(
    String.raw`^alter\s+(column\s+)?${MASKED_NAME}\s+(set|drop)\s+(not\s+null|default|statistics|storage)\b`,
    'i',
  ),
  /^(set|reset)\s*\(/i,
  /^(enable|disable|force|no\s+force)\s+row\s+level\s+security\b/i,
];

/** Decides what an interruption of one statement means. */
export function repetitionOf(statement: string): Repetition {
  const masked = maskSql(statement);
  if (UNNAMED_INDEX.test(masked)) return { kind: 'unnamed-index' };
  const index = concurrentIndexOf(statement, masked);
  if (index !== undefined) return { kind: 'concurrent-index', index };
  const reindex = concurrentReindexOf(statement);
  if (reindex !== undefined) return { kind: 'concurrent-reindex', reindex };
  return isRepeatable(masked.trim()) ? { kind: 'repeatable' } : { kind: 'once' };
}

function concurrentIndexOf(statement: string, masked: string): ConcurrentIndex | undefined {
  const match = CONCURRENT_INDEX.exec(masked);
  if (match === null) return undefined;
  const part = (group: number) => {
    const [from, to] = match.indices?.[group] ?? [0, 0];
    return statement.slice(from, to);
  };
  return {
    unique: match[1] !== undefined,
    name: part(2),
    table: part(3),
    tableName: part(4),
    definition: statement.slice(match[0].length).trim(),
  };
}

function isRepeatable(masked: string): boolean {
  if (REPEATABLE.some((pattern) => pattern.test(masked))) return true;
  const [head] = ALTER_TABLE.exec(masked) ?? [];
  if (head === undefined) return false;
  return splitAtCommas(masked.slice(head.length)).every((action) =>
    REPEATABLE_ACTION.some((pattern) => pattern.test(action)),
  );
}

/** Splits at the commas that stand in no parentheses. */
function splitAtCommas(masked: string): string[] {
  const parts: string[] = [''];
  let depth = 0;
  for (const character of masked) {
    if (character === '(') depth += 1;
    if (character === ')') depth -= 1;
    if (character === ',' && depth === 0) parts.push('');
    else parts.push((parts.pop() ?? '') + character);
  }
  return parts.map((part) => part.trim());
}

const WAITS_WITHOUT_HARM = /^\s*(create\s+(unique\s+)?index|drop\s+index)\s+concurrently\b/i;

/**
 * Whether a statement may wait for locks as long as it likes: nobody's queries queue behind it, and on a busy database it
 * has to wait for every transaction that is older than it.
 */
export function mayWaitForLocks(statement: string): boolean {
  return WAITS_WITHOUT_HARM.test(maskSql(statement)) || concurrentReindexOf(statement) !== undefined;
}

/** Why a file cannot be run outside a transaction; undefined when it can. */
export function objectionTo(
  statements: readonly string[],
): { statement: number; why: string; hint: string } | undefined {
  for (const [index, statement] of statements.entries()) {
    const { kind } = repetitionOf(statement);
    if (kind === 'unnamed-index') {
      return {
        statement: index + 1,
        why: 'builds an index without a name, which nobody could find again if the run were interrupted',
        hint: 'Give the index a name: CREATE INDEX CONCURRENTLY name ON …',
      };
    }
    if (kind === 'once' && statements.length > 1) {
      return {
        statement: index + 1,
        why: 'cannot safely be run a second time, as it has to be when the run is interrupted between the statements of a file without a transaction',
        hint: 'Write it with IF NOT EXISTS, IF EXISTS or OR REPLACE, or give it a migration of its own.',
      };
    }
  }
  return undefined;
}
