import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { parseFaults } from './faults/rules.js';
import type { FaultRule } from './faults/rules.js';
import type { LocalNeonOptions } from './options.js';

export const usage = `usage: local-neon [options]

  --port N             port of the API (default: a free one)
  --projects N         projects to start with, named tenant-0001 and so on
  --latency MS         added to each answer of the API
  --rate-limit N       requests a minute that the account may make
  --cold-start MS      how long an idle compute takes to start
  --operation-time MS  how long the operations of a request take (default: 60)
  --restore-points     keep what a branch holds whenever a client asks for the position in the log
  --fault JSON         a rule of misbehaviour, as in the README; may be given again
  --faults FILE        a file of such rules
  --postgres-bin DIR   where initdb and postgres are, or "embedded" for those of the npm package
  --disk               PostgreSQL's data on disk, even if there is room in memory
  --no-s3              no S3 server
  --json               one line of JSON when ready, for programs
  --help               this text
`;

/** What the command line asks for. */
export type Command =
  | { readonly kind: 'help' }
  | { readonly kind: 'wrong'; readonly problems: readonly string[] }
  | { readonly kind: 'run'; readonly json: boolean; readonly options: LocalNeonOptions };

const numbers = {
  port: ['port', 0, 65_535],
  projects: ['projects', 0, 1_000_000],
  latency: ['latencyMs', 0, 600_000],
  'rate-limit': ['rateLimitPerMinute', 1, 1_000_000],
  'cold-start': ['coldStartMs', 0, 600_000],
  'operation-time': ['operationMs', 0, 600_000],
} as const;

/** Reads the command line, and finds everything that is wrong with it rather than the first thing only. */
export function readCommand(
  args: readonly string[],
  readFile: (file: string) => string = (file) => readFileSync(file, 'utf8'),
): Command {
  const problems: string[] = [];
  const values = parse(args, problems);
  if (values['help'] === true) return { kind: 'help' };
  const options: LocalNeonOptions = {};
  for (const [flag, [name, least, most]] of Object.entries(numbers)) {
    const text = values[flag];
    if (typeof text !== 'string') continue;
    if (/^\d+$/.test(text) && Number(text) >= least && Number(text) <= most) options[name] = Number(text);
    else problems.push(`--${flag} must be a whole number from ${least} to ${most}, not "${text}"`);
  }
  const faults = readFaults(values, problems, readFile);
  if (faults.length > 0) options.faults = faults;
  if (typeof values['postgres-bin'] === 'string') options.postgresBinDir = values['postgres-bin'];
  if (values['disk'] === true) options.inMemory = false;
  if (values['no-s3'] === true) options.s3 = false;
  if (values['restore-points'] === true) options.restorePoints = true;
  if (problems.length > 0) return { kind: 'wrong', problems };
  return { kind: 'run', json: values['json'] === true, options };
}

function parse(args: readonly string[], problems: string[]): Record<string, unknown> {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean' } as const;
  const known = {
    ...Object.fromEntries(Object.keys(numbers).map((name) => [name, text])),
    ...{
      faults: text,
      'postgres-bin': text,
      'no-s3': flag,
      disk: flag,
      'restore-points': flag,
      json: flag,
      help: flag,
    },
    fault: { type: 'string', multiple: true } as const,
  };
  const { values, tokens } = parseArgs({
    args: [...args],
    options: known,
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  for (const token of tokens) {
    if (token.kind === 'positional') problems.push(`there is no argument "${token.value}"`);
    if (token.kind !== 'option') continue;
    const option = (known as Record<string, { type: string } | undefined>)[token.name];
    if (!option) problems.push(`there is no option ${token.rawName}`);
    else if (option.type === 'string' && token.value === undefined) problems.push(`${token.rawName} needs a value`);
    else if (option.type === 'boolean' && token.value !== undefined) problems.push(`${token.rawName} takes no value`);
  }
  return values;
}

function readFaults(
  values: Record<string, unknown>,
  problems: string[],
  readFile: (file: string) => string,
): FaultRule[] {
  const sources: { name: string; text: () => string }[] = [];
  const inline = Array.isArray(values['fault']) ? values['fault'] : [];
  for (const text of inline) if (typeof text === 'string') sources.push({ name: '--fault', text: () => text });
  const file = values['faults'];
  if (typeof file === 'string') sources.push({ name: `--faults ${file}`, text: () => readFile(file) });
  return sources.flatMap(({ name, text }) => {
    try {
      return parseFaults(JSON.parse(text())).rules;
    } catch (error) {
      problems.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
      return [];
    }
  });
}
