import { scrubSecrets } from '@neon-fleet/shared/errors';

// eslint-disable-next-line no-control-regex
const ESCAPES = /\u001b\[[0-9;?]*[ -/]*[@-~]|\u001b\][^\u0007]*\u0007|[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/g;

/** Lines of Node's view of a driver's error that quote rows, or that help nobody. */
const PROPERTY =
  /^\s*(detail|where|params|parameters|internalQuery|internalPosition|position|length|file|line|routine|errno|syscall|dataType|schema): .*$/;
const UNDEFINED = /^\s*\w+: undefined,?$/;
const STACK = /^\s*at .*$/;
/** A value that did not fit on the line of its property. */
const CONTINUED = /^\s*(['"`].*['"`])( \+|,)?$/;
/** The drawing of progress, one picture after the other. */
const SPINNER = /\[[\u2800-\u28ff]\] ?/g;

const ABOUT_A_VALUE = /code: '22[0-9A-Z]{3}'/;
const MOST_LINES = 40;
const MOST_CHARACTERS = 3_000;

/**
 * Makes what drizzle-kit wrote fit to be shown: without terminal sequences, secrets, rows of customers and stacks, and no
 * longer than a person reads. Of what is too long the end is kept, where the error stands.
 *
 * @param secrets texts that must not appear, such as all the forms of the URL.
 */
export function cleanOutput(output: string, secrets: readonly string[] = []): string {
  let text = output.replace(ESCAPES, '').replace(SPINNER, '');
  for (const secret of secrets.toSorted((a, b) => b.length - a.length)) {
    if (secret.length > 0) text = text.replaceAll(secret, '***');
  }
  // An error of this class quotes the value that it is about.
  if (ABOUT_A_VALUE.test(text)) text = text.replace(/^(.*\berror\b[^"\n]*)".*"/gim, '$1"…"');
  return lastOf(scrubSecrets(withoutProperties(text)));
}

function withoutProperties(text: string): string {
  const kept: string[] = [];
  let dropping = false;
  for (const line of text.split(/\r\n|\r|\n/)) {
    if (PROPERTY.test(line)) dropping = true;
    else if (dropping && CONTINUED.test(line)) continue;
    else {
      dropping = false;
      const previous = kept.at(-1);
      if (UNDEFINED.test(line) || STACK.test(line) || (line.trim() === '' && (previous ?? '').trim() === '')) continue;
      if (line !== previous) kept.push(line.trimEnd());
    }
  }
  return kept.join('\n').trim();
}

function lastOf(text: string): string {
  const lines = text.split('\n');
  const fewer = lines.length > MOST_LINES ? ['…', ...lines.slice(-MOST_LINES)].join('\n') : text;
  return fewer.length > MOST_CHARACTERS ? `…${fewer.slice(-MOST_CHARACTERS)}` : fewer;
}
