/** The variables that a child process inherits: where programs and homes are, and in which language to speak. */
const INHERITED = ['PATH', 'HOME', 'LANG', 'LANGUAGE', 'LC_ALL', 'LC_CTYPE', 'LC_MESSAGES', 'TMPDIR', 'TZ'] as const;

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The environment of a child process: an allow-list, because what a step was given (API keys, AWS credentials, tokens of
 * GitHub) concerns none of the programs that are started here.
 */
export function childEnvironment(env: Environment, own: Environment = {}): Record<string, string> {
  const inherited = INHERITED.map((name) => [name, env[name]] as const);
  const filled = [...inherited, ...Object.entries(own)].filter(
    (entry): entry is [string, string] => entry[1] !== undefined && entry[1] !== '',
  );
  return Object.fromEntries(filled);
}
