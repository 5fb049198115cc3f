// As URIs are read: the host begins after the last @ before the path. Then as people write them, with a slash in the password.
// An ellipsis stands for a password where a form is described.
const PASSWORD_IN_AUTHORITY = /\b([a-z][a-z0-9+.-]*:\/\/[^\s:/?#]*):(?!…@[^\s@]*(?:\s|$))[^\s/?#]*@/gi;
const PASSWORD_IN_URI = /\b([a-z][a-z0-9+.-]*:\/\/[^\s:@/]*):(?!…@[^\s@]*(?:\s|$))[^\s@]*@/gi;
const PASSWORD_SETTING = /(password\s*=\s*)(?:'[^']*'|[^\s&'"]+)/gi; // of libpq, in a URI's query or by itself
const NEON_KEY = /\bnapi_[A-Za-z0-9_]{8,}/g;
const NEON_PASSWORD = /\bnpg_[A-Za-z0-9_]{8,}/g;
const BEARER = /\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}/gi;

/**
 * Takes the secrets that have a recognisable shape out of a text: passwords in URIs, Neon API keys, authorization headers.
 *
 * The second line of defence. The first is that nothing secret is put into a message, the third is the runner's masking.
 */
export function scrubSecrets(text: string): string {
  return text
    .replace(PASSWORD_IN_AUTHORITY, '$1:***@')
    .replace(PASSWORD_IN_URI, '$1:***@')
    .replace(PASSWORD_SETTING, '$1***')
    .replace(NEON_KEY, 'napi_***')
    .replace(NEON_PASSWORD, 'npg_***')
    .replace(BEARER, '$1 ***');
}
