import { parseArgs } from 'node:util';

/** The guide's four customers. */
const GUIDE_TENANTS = ['ACME Corp', 'Payroll Inc', 'Finance Co', 'Talent Biz'] as const;

export interface DemoOptions {
  readonly tenants: readonly string[];
  /** Show the whole log of each action in place of one line a tenant. */
  readonly verbose: boolean;
}

/**
 * Reads the demo's own command line.
 *
 * @throws Error that says what is accepted.
 */
export function parseDemoOptions(args: readonly string[]): DemoOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      tenants: { type: 'string', default: String(GUIDE_TENANTS.length) },
      verbose: { type: 'boolean', default: false },
    },
  });
  const count = /^\d+$/.test(values.tenants) ? Number(values.tenants) : NaN;
  if (!(count >= 1 && count <= 1_000)) {
    throw new Error(`--tenants: given ${JSON.stringify(values.tenants)}; accepted: a whole number from 1 to 1000`);
  }
  const invented = Array.from({ length: count }, (_, index) => `Tenant ${String(index + 1).padStart(4, '0')}`);
  return {
    tenants: [...GUIDE_TENANTS, ...invented.slice(GUIDE_TENANTS.length)].slice(0, count),
    verbose: values.verbose,
  };
}
