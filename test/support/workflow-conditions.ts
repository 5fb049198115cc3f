import { Evaluator, Lexer, Parser, data } from '@actions/expressions';

/** How a job ended, as GitHub calls it. */
export type JobResult = 'success' | 'failure' | 'cancelled' | 'skipped';

/** What the jobs after it know of a job. */
export interface EndedJob {
  readonly result: JobResult;
  readonly outputs: Readonly<Record<string, string>>;
}

/** The contexts that an expression may look at, as plain values. */
export type Contexts = Record<string, unknown>;

/** What the status functions answer. */
export interface RunStatus {
  readonly cancelled: boolean;
  /** Of the jobs that the job needs, and of those that these need. */
  readonly ancestors: readonly JobResult[];
}

const STATUS_FUNCTIONS = ['always', 'cancelled', 'failure', 'success'] as const;

/** Evaluates one expression, without its `${{ }}`, with GitHub's own library. */
export function evaluate(expression: string, contexts: Contexts, status?: RunStatus): data.ExpressionData {
  const functions =
    status === undefined
      ? []
      : STATUS_FUNCTIONS.map((name) => ({
          name,
          minArgs: 0,
          maxArgs: 0,
          call: () => new data.BooleanData(answer(name, status)),
        }));
  const { tokens } = new Lexer(expression).lex();
  const parsed = new Parser(tokens, Object.keys(contexts), functions).parse();
  const known = asDictionary(contexts);
  return new Evaluator(parsed, known, new Map(functions.map((one) => [one.name, one]))).evaluate();
}

function answer(name: (typeof STATUS_FUNCTIONS)[number], { cancelled, ancestors }: RunStatus): boolean {
  switch (name) {
    case 'always':
      return true;
    case 'cancelled':
      return cancelled;
    case 'failure':
      return ancestors.includes('failure');
    case 'success':
      return !cancelled && ancestors.every((result) => result === 'success');
  }
}

/** Whether GitHub would run a job with this `if`: without a status function in it, it means `success() && (…)`. */
export function wouldRun(condition: string | undefined, contexts: Contexts, status: RunStatus): boolean {
  const expression = condition === undefined ? 'success()' : withoutBraces(condition);
  const asksStatus = STATUS_FUNCTIONS.some((name) => new RegExp(String.raw`\b${name}\s*\(`).test(expression));
  return isTruthy(evaluate(asksStatus ? expression : `success() && (${expression})`, contexts, status));
}

/** Fills in the expressions of a text, as GitHub does for names, paths and inputs. */
export function fillIn(text: string, contexts: Contexts): string {
  return text.replaceAll(/\$\{\{(.*?)\}\}/gs, (_, expression: string) => evaluate(expression, contexts).coerceString());
}

/** The value of a text that is one expression, such as a matrix. */
export function valueOf(text: string, contexts: Contexts): unknown {
  return JSON.parse(JSON.stringify(evaluate(withoutBraces(text), contexts), data.replacer));
}

function withoutBraces(text: string): string {
  return (/^\s*\$\{\{(.*)\}\}\s*$/s.exec(text)?.[1] ?? text).trim();
}

function isTruthy(value: data.ExpressionData): boolean {
  if (value instanceof data.BooleanData) return value.value;
  if (value instanceof data.StringData) return value.value !== '';
  if (value instanceof data.NumberData) return value.value !== 0 && !Number.isNaN(value.value);
  return !(value instanceof data.Null);
}

function asDictionary(contexts: Contexts): data.Dictionary {
  const value: unknown = JSON.parse(JSON.stringify(contexts), data.reviver);
  if (value instanceof data.Dictionary) return value;
  throw new Error('contexts are an object');
}
