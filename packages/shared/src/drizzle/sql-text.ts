// Where a word is not a command: comments, strings (with and without escapes), quoted names, dollar-quoted bodies.
// PostgreSQL's own parser would be the better judge; as WebAssembly it cannot be part of an ESM bundle.
const OPAQUE =
  /--[^\n]*|\be'[^'\\]*(?:(?:\\[\s\S]|'')[^'\\]*)*'|'[^']*(?:''[^']*)*'|"[^"]*(?:""[^"]*)*"|(?<![\w$\u0080-\uffff])\$([a-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$[\s\S]*?\$\1\$|\/\*/gi;

/** The body of an SQL-standard function stands in the open, between `BEGIN ATOMIC` and `END`. */
const ATOMIC_BODY = /\bbegin\s+atomic\b[\s\S]*?;\s*end\b/gi;

/** A name in masked text, quoted or not. */
export const MASKED_NAME = '(?:"+|[a-z_\\u0080-\\uffff][\\w$\\u0080-\\uffff]*)';

/**
 * SQL of the same length in which only commands and names are left to be read: comments are blanks, strings and bodies of
 * functions are apostrophes, quoted names are quotation marks. What is found in it is at the same place in the original.
 */
export function maskSql(sql: string): string {
  const kept: string[] = [];
  let from = 0;
  for (const match of opaqueParts(sql)) {
    kept.push(
      sql.slice(from, match.from),
      match.filler === ' ' ? blank(match.text) : match.filler.repeat(match.text.length),
    );
    from = match.from + match.text.length;
  }
  kept.push(sql.slice(from));
  return kept.join('').replace(ATOMIC_BODY, (body) => "'".repeat(body.length));
}

interface OpaquePart {
  readonly from: number;
  readonly text: string;
  readonly filler: ' ' | "'" | '"';
}

function* opaqueParts(sql: string): Generator<OpaquePart> {
  const opaque = new RegExp(OPAQUE);
  for (let match = opaque.exec(sql); match !== null; match = opaque.exec(sql)) {
    const [text] = match;
    if (text === '/*') {
      const end = endOfComment(sql, match.index);
      yield { from: match.index, text: sql.slice(match.index, end), filler: ' ' };
      opaque.lastIndex = end;
    } else {
      yield { from: match.index, text, filler: text.startsWith('--') ? ' ' : text.startsWith('"') ? '"' : "'" };
    }
  }
}

/** Comments nest in PostgreSQL, and nothing else counts inside of one. */
function endOfComment(sql: string, from: number): number {
  let depth = 0;
  for (const { 0: text, index } of sql.slice(from).matchAll(/\/\*|\*\//g)) {
    depth += text === '/*' ? 1 : -1;
    if (depth === 0) return from + index + text.length;
  }
  return sql.length;
}

/** Takes SQL apart at its semicolons. Parts without a command are left out. */
export function splitStatements(sql: string): string[] {
  const statements: string[] = [];
  let from = 0;
  for (const part of maskSql(sql).split(';')) {
    if (part.trim() !== '') statements.push(sql.slice(from, from + part.length).trim());
    from += part.length + 1;
  }
  return statements;
}

function blank(text: string): string {
  return text.replace(/[^\n]/g, ' ');
}
