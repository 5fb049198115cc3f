import ms, { type StringValue } from 'ms';
import { z } from 'zod';

import { ExplainedError, scrubSecrets } from '../errors/index.js';

/** What one input of an action is: the source of its entry in `action.yml`, of its line in the README, and its parser. */
export interface InputDefinition<T> {
  readonly description: string;
  /** What is accepted, in words: what a person who gave something else is told. */
  readonly accepted: string;
  readonly required: boolean;
  /** As it stands in `action.yml`; also used for a blank input, since an expression may come out empty. */
  readonly default?: string;
  /** A secret is never repeated in an error, and masked before anything else happens. */
  readonly secret: boolean;
  readonly schema: z.ZodType<T, string>;
}

// The parsed type of a definition whose own type does not matter here.
export type InputDefinitions = Readonly<Record<string, InputDefinition<unknown>>>;

type CamelCase<Name extends string> = Name extends `${infer Head}-${infer Tail}`
  ? `${Head}${Capitalize<CamelCase<Tail>>}`
  : Name;

/** The parsed inputs of an action: `s3-bucket` becomes `s3Bucket`. */
export type InputValues<D extends InputDefinitions> = {
  readonly [Name in keyof D & string as CamelCase<Name>]: D[Name] extends InputDefinition<infer T> ? T : never;
};

interface Common {
  readonly description: string;
  readonly default?: string;
}

type Definition<T, O> = O extends { readonly required: true } | { readonly default: string }
  ? InputDefinition<T>
  : InputDefinition<T | undefined>;

function define<T, O extends Common & { readonly required?: true; readonly secret?: true }>(
  options: O,
  accepted: string,
  schema: z.ZodType<T, string>,
): Definition<T, O> {
  return {
    description: options.description,
    accepted,
    required: options.required ?? false,
    secret: options.secret ?? false,
    schema,
    ...(options.default === undefined ? {} : { default: options.default }),
  };
}

type Options = Common & { readonly required?: true; readonly secret?: true; readonly accepted?: string };

/** A line of text. */
export function textInput<const O extends Options>(options: O): Definition<string, O> {
  return define(options, options.accepted ?? 'a text', z.string());
}

/** Text of a fixed form. */
export function patternInput<const O extends Options & { readonly pattern: RegExp; readonly accepted: string }>(
  options: O,
): Definition<string, O> {
  return define(options, options.accepted, z.string().regex(options.pattern));
}

/** Several texts, one a line; blank lines do not count. */
export function linesInput<const O extends Options & { readonly unique?: true; readonly maxLength?: number }>(
  options: O,
): Definition<readonly string[], O> {
  const schema = z
    .string()
    .transform((text) => text.split('\n').map((line) => line.trim()))
    .transform((lines) => lines.filter((line) => line !== ''))
    .refine((lines) => lines.length > 0)
    .refine((lines) => options.unique !== true || new Set(lines).size === lines.length)
    .refine((lines) => lines.every((line) => line.length <= (options.maxLength ?? Infinity)));
  return define(options, options.accepted ?? 'one or more lines', schema);
}

/** Text with a form of its own, read by a function that throws for anything else. */
export function parsedInput<T, const O extends Options & { readonly accepted: string }>(
  parse: (text: string) => T,
  options: O,
): Definition<T, O> {
  const schema = z.string().transform((text, context): T => {
    try {
      return parse(text);
    } catch {
      context.addIssue({ code: 'custom' });
      return z.NEVER;
    }
  });
  return define(options, options.accepted, schema);
}

/** A whole number within bounds. */
export function integerInput<const O extends Options & { readonly min: number; readonly max: number }>(
  options: O,
): Definition<number, O> {
  const { min, max } = options;
  const schema = z
    .string()
    .regex(/^-?\d{1,15}$/)
    .transform(Number)
    .refine((number) => number >= min && number <= max);
  return define(options, `a whole number from ${min} to ${max}`, schema);
}

/** One of a few words. */
export function choiceInput<const Choice extends string, const O extends Options>(
  choices: readonly [Choice, ...Choice[]],
  options: O,
): Definition<Choice, O> {
  return define(options, choices.length === 1 ? choices[0] : `one of ${choices.join(', ')}`, z.enum(choices));
}

/** Several of a few words, separated by commas, spaces or line breaks. */
export function choicesInput<const Choice extends string, const O extends Options>(
  choices: readonly [Choice, ...Choice[]],
  options: O,
): Definition<readonly Choice[], O> {
  const schema = z
    .string()
    .transform((text) => text.split(/[\s,]+/).filter((word) => word !== ''))
    .pipe(z.array(z.enum(choices)));
  return define(options, `a list out of ${choices.join(', ')}`, schema);
}

/** Yes or no, in the spelling of YAML 1.2's core schema. */
export function booleanInput<const O extends Options>(options: O): Definition<boolean, O> {
  const schema = z.enum(['true', 'True', 'TRUE', 'false', 'False', 'FALSE']).transform((word) => /^t/i.test(word));
  return define(options, 'true or false', schema);
}

/** A length of time with its unit, given in milliseconds. */
export function durationInput<const O extends Options & { readonly maxMs?: number }>(
  options: O,
): Definition<number, O> {
  const schema = z
    .string()
    .regex(/^\d{1,15}(\.\d{1,15})?\s{0,9}(ms|s|m|min|h|d)$/)
    .transform((text) => Math.round(ms(text as StringValue)))
    .refine((durationMs) => durationMs > 0 && durationMs <= (options.maxMs ?? Number.MAX_SAFE_INTEGER));
  const most = options.maxMs === undefined ? '' : `, at most ${ms(options.maxMs)}`;
  return define(options, `a length of time with its unit, such as 500ms, 30s, 15m or 5.5h${most}`, schema);
}

/** An address to send requests to; plain HTTP only to this machine, since a key goes with each of them. */
export function urlInput<const O extends Options>(options: O): Definition<string, O> {
  const schema = z.string().refine((text) => {
    if (!URL.canParse(text)) return false;
    const { protocol, hostname, username, password } = new URL(text);
    // Credentials in an address take the place of the key, and end up in logs.
    if (username !== '' || password !== '') return false;
    return protocol === 'https:' || (protocol === 'http:' && isLoopback(hostname));
  });
  return define(
    options,
    'an https:// address without user and password (http:// only for this machine itself)',
    schema,
  );
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname);
}

/** One thing that is wrong with the inputs. */
export interface InputProblem {
  readonly input: string;
  /** What was given, in words that repeat no secret. */
  readonly given: string;
  readonly accepted: string;
}

/** The inputs cannot be used. Holds everything that is wrong with them, so that one run is enough to mend them all. */
export class InputError extends ExplainedError {
  constructor(readonly problems: readonly InputProblem[]) {
    const lines = problems.map(({ input, given, accepted }) => `  ${input}: given ${given}; accepted: ${accepted}`);
    super({
      message: `${problems.length === 1 ? 'An input is' : `${problems.length} inputs are`} wrong; nothing was done.\n${lines.join('\n')}`,
    });
    this.name = 'InputError';
  }
}

/**
 * Reads and checks all inputs of an action.
 *
 * @param read gives the raw text of an input, empty when it was not set (`core.getInput`).
 * @param check finds what is wrong about inputs taken together. It is asked in any case, so that one run shows
 *   everything; an input that is missing or wrong by itself is undefined there, and what it says of it is left out.
 * @throws InputError with every problem at once.
 */
export function readInputs<D extends InputDefinitions>(
  definitions: D,
  read: (name: string) => string,
  check: (values: Partial<InputValues<D>>) => readonly InputProblem[] = () => [],
): InputValues<D> {
  const problems: InputProblem[] = [];
  const values: Record<string, unknown> = {};
  for (const [name, definition] of Object.entries(definitions)) {
    const given = read(name).trim();
    const raw = given === '' ? definition.default : given;
    if (raw === undefined || raw === '') {
      if (definition.required) problems.push({ input: name, given: 'nothing', accepted: definition.accepted });
      values[camelCase(name)] = undefined;
      continue;
    }
    const parsed = definition.schema.safeParse(raw);
    if (parsed.success) values[camelCase(name)] = parsed.data;
    else problems.push({ input: name, given: showGiven(raw, definition.secret), accepted: definition.accepted });
  }
  const known = new Set(problems.map(({ input }) => input));
  problems.push(...check(values as Partial<InputValues<D>>).filter(({ input }) => !known.has(input)));
  if (problems.length > 0) throw new InputError(problems);
  // The record was filled with one parsed value for each definition, which is what the mapped type says.
  return values as InputValues<D>;
}

/**
 * Masks every input that is a secret. To be done before anything can print one, also in the message about inputs that are
 * wrong.
 */
export function maskSecretInputs(
  definitions: InputDefinitions,
  { readInput, mask }: { readonly readInput: (name: string) => string; readonly mask: (secret: string) => void },
): void {
  for (const [name, { secret }] of Object.entries(definitions)) {
    const given = secret ? readInput(name) : '';
    if (given.trim() !== '') mask(given);
  }
}

const LONGEST_SHOWN = 200;

/** What was given, for a message: quoted, shortened, and not at all when it is a secret. */
export function showGiven(raw: string, secret = false): string {
  if (secret) return 'a value that is not shown because it is secret';
  // Before it is shortened: half a secret has no shape to be recognised by.
  const text = scrubSecrets(JSON.stringify(raw));
  return text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}…` : text;
}

function camelCase(name: string): string {
  return name.replace(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}
