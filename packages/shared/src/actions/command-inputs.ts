import { InputError, readInputs, type InputDefinition, type InputDefinitions, type InputProblem } from './inputs.js';
import type { InputValues } from './inputs.js';

/** Which inputs each command of an action cannot do without: `action.yml` cannot say so. */
export type NeedsOfCommands<D extends InputDefinitions, Command extends string> = Readonly<
  Record<Command, readonly (keyof D & string)[]>
>;

/** An input that only some commands need; `which` says so to a person, such as 'Needed for `run`.' */
export function neededBySome<T>(definition: InputDefinition<T>, which: string): InputDefinition<T | undefined> {
  return { ...definition, description: `${definition.description} ${which}`, required: false };
}

/** Parsed inputs, with those filled that a command needs. */
export type Filled<Values, Name extends keyof Values> = Values & {
  readonly [N in Name]-?: NonNullable<Values[N]>;
};

/**
 * Reads all inputs of an action with several commands.
 *
 * @param command what `command` was parsed to; undefined when it is wrong, and then nothing is needed.
 * @param check finds what is wrong about inputs taken together, as in {@link readInputs}.
 * @throws InputError with every problem at once, the missing inputs of the command among them.
 */
export function readCommandInputs<D extends InputDefinitions, Command extends string>(
  definitions: D,
  read: (name: string) => string,
  needs: NeedsOfCommands<D, Command>,
  check: (values: Partial<InputValues<D>>) => readonly InputProblem[] = () => [],
): InputValues<D> {
  const command = read('command').trim() || (definitions['command']?.default ?? '');
  const needed: readonly string[] = Object.hasOwn(needs, command) ? needs[command as Command] : [];
  const missing = needed
    .filter((name) => read(name).trim() === '' && definitions[name]?.default === undefined)
    .map((name) => ({
      input: name,
      given: 'nothing',
      accepted: `${definitions[name]?.accepted ?? 'a value'} (needed for ${command})`,
    }));
  try {
    const values = readInputs(definitions, read, check);
    if (missing.length > 0) throw new InputError(missing);
    return values;
  } catch (thrown) {
    if (!(thrown instanceof InputError) || thrown.problems === missing) throw thrown;
    const known = new Set(missing.map(({ input }) => input));
    throw new InputError([...missing, ...thrown.problems.filter(({ input }) => !known.has(input))]);
  }
}
