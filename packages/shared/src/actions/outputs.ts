/** What one output of an action is: the source of its entry in `action.yml` and of its line in the README. */
export interface OutputDefinition {
  readonly description: string;
  readonly example: string;
}

export type OutputDefinitions = Readonly<Record<string, OutputDefinition>>;

/** What every action tells the steps after it. */
export const commonOutputs = {
  verdict: { description: '`succeeded`, `failed` or `incomplete`.', example: 'succeeded' },
  succeeded: { description: 'Number of tenants on which something was done, and well.', example: '12' },
  unchanged: { description: 'Number of tenants that needed nothing.', example: '86' },
  failed: { description: 'Number of tenants that failed.', example: '1' },
  skipped: { description: 'Number of tenants that were left alone.', example: '1' },
  report: {
    description: 'Path of the report as JSON: every tenant with its outcome. Holds nothing secret.',
    example: '/home/runner/work/_temp/neon-fleet/migrate-1f6c.json',
  },
  message: {
    description: 'One line with the verdict, the names of what failed, and the address of the run, for any notifier.',
    example: 'migrate failed: 1 of 100 tenants failed (ACME Corp)',
  },
} as const satisfies OutputDefinitions;

/** What the command `plan` tells the jobs after it. */
export const planOutputs = {
  plan: {
    description: 'Path of the plan, for the jobs that carry it out. Holds nothing secret.',
    example: '/home/runner/work/_temp/neon-fleet/plan.json',
  },
  matrix: { description: 'Matrix of all shards.', example: '{"shard":[1,2,3]}' },
  shards: { description: 'Number of shards; `0` when there is nothing to do.', example: '3' },
  tenants: { description: 'Number of tenants that there is work for.', example: '1200' },
  waves: {
    description: 'The waves in their order, as JSON, each with a matrix of its own.',
    example: '[{"wave":1,"name":"1","tenants":1,"shards":1,"matrix":{"shard":[1]}}]',
  },
} as const satisfies OutputDefinitions;

/** What the command `report` tells as a gate between two waves. */
export const gateOutputs = {
  go: { description: 'Whether the next wave may start.', example: 'true' },
} as const satisfies OutputDefinitions;
