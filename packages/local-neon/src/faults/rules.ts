import { z } from 'zod';

const milliseconds = z.number().min(0).max(3_600_000);
const retryAfterSeconds = z.number().min(0).max(3_600).optional();

/** Which requests, or whose connections, a rule is about. What is left out matches everything. */
const scope = {
  method: z
    .string()
    .regex(/^[A-Za-z]+$/, 'an HTTP method such as GET')
    .optional(),
  /** A glob (`*`, `**`) or `/regular expression/` on the path below `/api/v2`, or the name of an operation of the API. */
  path: z.string().min(1).optional(),
  /** Id or exact name of a project. */
  projectId: z.string().min(1).optional(),
  /** Chance that the rule acts on something it matches; 1 when absent. */
  probability: z.number().min(0).max(1).optional(),
  /** How often the rule acts before it is used up; without end when absent. */
  times: z.int().min(1).optional(),
};

const statusKind = <const Code extends string>(code: Code) =>
  z.union([z.literal(code), z.literal(Number(code)).transform(() => code)]);

/** One rule of misbehaviour. */
export const faultRule = z.discriminatedUnion('kind', [
  z.strictObject({ ...scope, kind: z.literal('latency'), ms: milliseconds }),
  z.strictObject({ ...scope, kind: statusKind('423') }),
  z.strictObject({ ...scope, kind: statusKind('429'), retryAfterSeconds }),
  z.strictObject({ ...scope, kind: statusKind('503'), retryAfterSeconds }),
  z.strictObject({
    ...scope,
    kind: z.literal('status'),
    status: z.int().min(200).max(599),
    body: z.enum(['error', 'html', 'invalid-json', 'truncated', 'empty']).default('error'),
  }),
  z.strictObject({ ...scope, kind: z.literal('lost-answer') }),
  z.strictObject({ ...scope, kind: z.literal('unavailable-projects'), ids: z.array(z.string().min(1)).min(1) }),
  z.strictObject({ ...scope, kind: z.literal('delayed-listing'), ms: milliseconds }),
  z.strictObject({
    ...scope,
    kind: z.literal('operation-fails'),
    error: z.string().min(1).default('the operation was made to fail'),
  }),
  z.strictObject({ ...scope, kind: z.literal('refuse-connections') }),
  z.strictObject({ ...scope, kind: z.literal('cold-start'), ms: milliseconds }),
  z.strictObject({ ...scope, kind: z.literal('quota-suspended') }),
  z.strictObject({ ...scope, kind: z.literal('drop-after-bytes'), bytes: z.int().min(0) }),
  z.strictObject({ ...scope, kind: z.literal('drop-after-ms'), ms: milliseconds }),
  z.strictObject({ ...scope, kind: z.literal('wrong-password') }),
  z
    .strictObject({ ...scope, kind: z.literal('creating') })
    .refine(
      ({ method, path, probability, times }) => [method, path, probability, times].every((each) => each === undefined),
      'creating is a state of a project and no event: it takes projectId only',
    ),
]);

export type FaultRule = z.infer<typeof faultRule>;
/** A rule as a caller writes it, where what has a default may be left out. */
export type FaultRuleInput = z.input<typeof faultRule>;
export type FaultKind = FaultRule['kind'];

/** Kinds that act on connections to PostgreSQL rather than on API requests. */
export const connectionKinds = [
  'refuse-connections',
  'cold-start',
  'quota-suspended',
  'drop-after-bytes',
  'drop-after-ms',
  'wrong-password',
] as const satisfies readonly FaultKind[];

/**
 * Reads rules from outside: one rule, a list of them, or `{ rules, seed }`, where the seed makes the rules'
 * probabilities repeatable.
 *
 * @throws Error with one line for each thing that is wrong
 */
export function parseFaults(value: unknown): { rules: FaultRule[]; seed: number | undefined } {
  const isPlan = typeof value === 'object' && value !== null && 'rules' in value;
  const plan = isPlan ? value : { rules: Array.isArray(value) ? value : [value] };
  const result = z.strictObject({ rules: z.array(faultRule), seed: z.int().optional() }).safeParse(plan);
  if (result.success) return { rules: result.data.rules, seed: result.data.seed };
  const problems = result.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
  throw new Error(`bad faults:\n  ${problems.join('\n  ')}`);
}
