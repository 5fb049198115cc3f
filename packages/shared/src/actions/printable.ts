// eslint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029]/g;

/**
 * Makes text from outside (names of tenants, messages of servers) safe for the log of a runner: every line of a step's
 * output that looks like a workflow command is obeyed, so that a tenant called `::set-env …` would be.
 */
export function printable(text: string): string {
  return text
    .split(/\r\n|\r|\n/)
    .map((line) =>
      line
        .replace(CONTROL, ' ')
        .replace(/^(\s*):(?=:)/, '$1:\u200b')
        .replaceAll('##[', '#\u200b#['),
    )
    .join('\n');
}

/** The same for a place that holds one line. */
export function printableLine(text: string): string {
  return printable(text.replace(/\s+/g, ' ').trim());
}
