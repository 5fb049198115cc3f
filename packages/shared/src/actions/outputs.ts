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
