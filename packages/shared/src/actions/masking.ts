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
  const forms = [...wholes, ...parts.flatMap((part) => [part, decoded(part), encodeURIComponent(part)])];
  // An empty mask would turn the whole log into asterisks.
  return [...new Set(forms)].filter((form) => form.trim() !== '');
}

function passwordOf(secret: string): string[] {
  if (!/^postgres(ql)?:\/\//.test(secret)) return [];
  try {
    const { password } = parseConnectionUri(secret);
    const raw = /^[^:]+:\/\/[^:@/]*:([^@]*)@/.exec(secret)?.[1] ?? '';
    return [password, raw];
  } catch {
    // Not usable as a URI; the whole of it is masked all the same.
    return [];
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
