import { parseFaults, type FaultKind, type FaultRule, type FaultRuleInput } from './rules.js';

/** What a request or connection shows of itself to the rules. */
export interface Occasion {
  readonly method?: string | undefined;
  /** Path below `/api/v2`. */
  readonly path?: string | undefined;
  readonly operationId?: string | undefined;
  readonly projectId?: string | undefined;
  readonly projectName?: string | undefined;
}

export type RuleOf<Kind extends FaultKind> = Extract<FaultRule, { kind: Kind }>;

interface ActiveRule {
  readonly rule: FaultRule;
  left: number;
}

/** The misbehaviour that is asked for at the moment. Rules can come and go while the stand-in runs. */
export class Faults {
  #rules: ActiveRule[] = [];
  #random: () => number;

  constructor(seed = 1) {
    this.#random = seededRandom(seed);
  }

  /** Replaces all rules. @throws Error naming what is wrong with them; the old ones stay then */
  set(...rules: readonly FaultRuleInput[]): void {
    this.load(rules);
  }

  /** Adds rules to those that are there. @throws Error naming what is wrong with them */
  add(...rules: readonly FaultRuleInput[]): void {
    this.#rules = [...this.#rules, ...activate(parseFaults(rules).rules)];
  }

  /** Replaces all rules by what a file or request holds: a rule, a list of them, or `{ rules, seed }`. */
  load(value: unknown): void {
    const { rules, seed } = parseFaults(value);
    if (seed !== undefined) this.seed(seed);
    this.#rules = activate(rules);
  }

  /** Removes all rules. */
  clear(): void {
    this.#rules = [];
  }

  /** Starts the sequence of chances anew. */
  seed(seed: number): void {
    this.#random = seededRandom(seed);
  }

  /** The rules that are not used up, with what is left of their `times`. */
  list(): readonly FaultRule[] {
    return this.#rules.map(({ rule, left }) => (Number.isFinite(left) ? { ...rule, times: left } : rule));
  }

  /**
   * The rules of these kinds that act now, in their order. Each of them has been counted as used. Of those that decide
   * what becomes of the request or connection only the first acts, so that rules with `times` follow one another.
   */
  take<Kind extends FaultKind>(occasion: Occasion, kinds: readonly Kind[]): RuleOf<Kind>[] {
    const acting: RuleOf<Kind>[] = [];
    let decided = false;
    for (const active of this.#rules) {
      const { rule } = active;
      if (!isOneOf(rule, kinds) || !matches(rule, occasion)) continue;
      if (rule.probability !== undefined && this.#random() >= rule.probability) continue;
      if (decisive.has(rule.kind)) {
        if (decided) continue;
        decided = true;
      }
      active.left -= 1;
      acting.push(rule);
    }
    this.#rules = this.#rules.filter(({ left }) => left > 0);
    return acting;
  }
}

/** Whether a rule says that a project is still being made. */
export function isCreating(faults: Faults, project: { readonly id: string; readonly name: string }): boolean {
  const occasion = { projectId: project.id, projectName: project.name };
  return faults.list().some((rule) => rule.kind === 'creating' && matches(rule, occasion));
}

/** Kinds that leave nothing for another rule to decide. */
const decisive: ReadonlySet<FaultKind> = new Set<FaultKind>([
  '423',
  '429',
  '503',
  'status',
  'lost-answer',
  'refuse-connections',
  'quota-suspended',
  'wrong-password',
]);

const activate = (rules: readonly FaultRule[]): ActiveRule[] =>
  rules.map((rule) => ({ rule, left: rule.times ?? Infinity }));

function isOneOf<Kind extends FaultKind>(rule: FaultRule, kinds: readonly Kind[]): rule is RuleOf<Kind> {
  return (kinds as readonly FaultKind[]).includes(rule.kind);
}

/** Whether a rule is about this request or connection, leaving chance and use aside. */
export function matches(rule: FaultRule, occasion: Occasion): boolean {
  const { method, path, projectId } = rule;
  if (method !== undefined && method.toUpperCase() !== occasion.method) return false;
  if (projectId !== undefined && projectId !== occasion.projectId && projectId !== occasion.projectName) return false;
  if (path === undefined) return true;
  if (path === occasion.operationId) return true;
  return occasion.path !== undefined && pathPattern(path).test(occasion.path);
}

/** `*` is one part of a path, `**` any number of them; text between slashes with special characters is a regexp. */
function pathPattern(text: string): RegExp {
  if (text.length > 2 && text.startsWith('/') && text.endsWith('/')) return new RegExp(text.slice(1, -1));
  const escaped = text.replaceAll(/[.+?^${}()|[\]\\]/g, String.raw`\$&`);
  return new RegExp(`^${escaped.replaceAll(/\*\*|\*/g, (stars) => (stars === '**' ? '.*' : '[^/]*'))}$`);
}

/** Mulberry32: small, and the same everywhere. */
function seededRandom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
