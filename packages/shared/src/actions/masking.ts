import { parseConnectionUri } from '../postgres/index.js';

/**
 * All the forms in which a secret could be printed: as it is, trimmed, and percent-decoded and -encoded. For a connection
 * URI also the password alone.
 */
export function secretForms(secret: string): string[] {
  const passwords = passwordOf(secret);
  const wholes = [secret, secret.trim()];
  // Of a URI the password is what matters, however it is written; masking the rest in every form costs the runner time.
  const parts = passwords.length === 0 ? wholes : passwords;
  const forms = [...wholes, ...parts.flatMap((part) => [part, decoded(part), encoded(part)])];
  // An empty mask would turn the whole log into asterisks.
  return [...new Set(forms)].filter((form) => form.trim() !== '');
}

/** Between user and host, up to the last @ before the path or up to the first of all; or as a parameter. */
const PASSWORD_AS_WRITTEN = [
  /^[^:]+:\/\/[^:/?#]*:([^/?#]*)@/,
  /^[^:]+:\/\/[^:@/]*:([^@]*)@/,
  /[?&]password=([^&#]*)/,
] as const;

function passwordOf(secret: string): string[] {
  const uri = secret.trim();
  if (!/^postgres(ql)?:\/\//i.test(uri)) return [];
  const raw = PASSWORD_AS_WRITTEN.map((form) => form.exec(uri)?.[1] ?? '');
  try {
    return [parseConnectionUri(uri).password, ...raw];
  } catch {
    // Not usable as a URI, and masked all the same.
    return raw;
  }
}

function encoded(text: string): string {
  try {
    return encodeURIComponent(text);
  } catch {
    return text; // half a character has no encoding
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

const SHORTEST_REDACTED = 6;
const known = new Set<string>();
/** The known secrets by their first characters: a fleet has tens of thousands of them. */
const byBeginning = new Map<string, string[]>();

/** Keeps a secret in mind for `redact`. Returns whether it is new. */
export function rememberSecret(form: string): boolean {
  if (known.has(form)) return false;
  known.add(form);
  if (form.length >= SHORTEST_REDACTED) {
    const beginning = form.slice(0, SHORTEST_REDACTED);
    const alike = byBeginning.get(beginning);
    if (alike === undefined) byBeginning.set(beginning, [form]);
    else alike.push(form);
  }
  return true;
}

/**
 * Replaces every secret that was masked so far. The runner does this in its log only; what is kept as a file or an output
 * needs it as well, where a text came from outside: a server can repeat in an error what it was sent.
 */
export function redact(text: string): string {
  let redacted = '';
  let from = 0;
  for (let at = 0; at + SHORTEST_REDACTED <= text.length;) {
    const length = lengthOfSecretAt(text, at);
    if (length === 0) {
      at += 1;
      continue;
    }
    redacted += `${text.slice(from, at)}***`;
    at += length;
    from = at;
  }
  return redacted + text.slice(from);
}

/** Of several that begin alike the longest counts: what is left of it would still tell. */
function lengthOfSecretAt(text: string, at: number): number {
  let longest = 0;
  for (const form of byBeginning.get(text.slice(at, at + SHORTEST_REDACTED)) ?? []) {
    if (form.length > longest && text.startsWith(form, at)) longest = form.length;
  }
  return longest;
}
