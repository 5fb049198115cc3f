import fc from 'fast-check';

import {
  makeReport,
  NEON_DEFAULTS,
  SKIP_REASONS,
  UNCHANGED_REASONS,
  type FleetReport,
  type MigrationRecord,
  type Outcome,
  type RestorePoint,
  type SkipReason,
  type Tenant,
  type TenantResult,
} from '../../src/fleet/index.js';
import type { ProjectListing, ProjectRef } from '../../src/neon/index.js';

/** A project as the list gives it. */
export function project(overrides: Partial<ProjectRef> = {}): ProjectRef {
  return {
    projectId: 'misty-river-12345678',
    name: 'ACME Corp',
    regionId: 'aws-us-east-1',
    pgVersion: 17,
    createdAt: '2026-01-01T00:00:00Z',
    ...overrides,
  };
}

/** A listing of projects that have these names, and ids made of them. */
export function listing(names: readonly string[], unavailableProjectIds: readonly string[] = []): ProjectListing {
  return { projects: names.map((name, index) => project({ name, projectId: `p-${index}` })), unavailableProjectIds };
}

export function tenant(overrides: Partial<Tenant> = {}): Tenant {
  return {
    key: 'ACME Corp',
    name: 'ACME Corp',
    projectId: 'misty-river-12345678',
    ...NEON_DEFAULTS,
    assumed: { database: true, role: true },
    labels: {},
    ...overrides,
  };
}

/** As many tenants as asked for, each with a name and id of its own. */
export function tenants(count: number): Tenant[] {
  return Array.from({ length: count }, (_, index) => {
    return tenant({ key: `tenant-${index}`, name: `tenant-${index}`, projectId: `p-${index}` });
  });
}

const IDENTITY = {
  projectId: 'misty-river-12345678',
  name: 'ACME Corp',
  database: 'neondb',
  attempts: 1,
  startedAt: '2026-11-02T03:04:05.678Z',
  durationMs: 1_234,
};

/** An outcome: what is given of it, on top of a tenant that succeeded. */
export function outcome(
  result: TenantResult = { status: 'succeeded', detail: 'applied 0001_tasks' },
  identity: Partial<typeof IDENTITY> = {},
): Outcome {
  return { ...IDENTITY, ...identity, ...result };
}

export function failed(message: string, identity: Partial<typeof IDENTITY> = {}): Outcome {
  return outcome({ status: 'failed', detail: message, error: { message } }, identity);
}

export function skipped(reason: SkipReason, identity: Partial<typeof IDENTITY> = {}): Outcome {
  return outcome({ status: 'skipped', reason, detail: `skipped because of ${reason}` }, identity);
}

export function report(
  outcomes: readonly Outcome[],
  source: Partial<Parameters<typeof makeReport>[0]> = {},
): FleetReport {
  return makeReport({
    action: 'migrate',
    command: 'run',
    startedAt: new Date('2026-11-02T03:00:00Z'),
    endedAt: new Date('2026-11-02T03:01:30Z'),
    outcomes,
    ...source,
  });
}

/** Text from outside: anything at all, and what is known to do harm. */
export const hostileText: fc.Arbitrary<string> = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc
    .array(
      fc.oneof(
        fc.constantFrom('::', ':', '##[', '##', '[', '\n', '\r', '\r\n', '\u2028', '\u0085', '\u001b[31m', '\u0000'),
        fc.constantFrom(
          '<b>',
          '</td>',
          '</table>',
          '&amp;',
          '"',
          "'",
          '|',
          '`',
          '\n\n',
          '<!--',
          '🦊',
          '\u00a0',
          '\ufeff',
        ),
        fc.constantFrom('set-env name=A::b', 'add-mask', 'error', ' ', '\t', '\u000b', '\u200b', '\u00ad', 'ä'),
      ),
      { maxLength: 12 },
    )
    .map((parts) => parts.join('')),
);

const explanation = fc.record(
  { message: hostileText, code: hostileText, hint: hostileText },
  { requiredKeys: ['message'], noNullPrototype: true },
);

const anyTime = fc
  .date({ min: new Date('2020-01-01'), max: new Date('2099-12-31'), noInvalidDate: true })
  .map((date) => date.toISOString());

const anyRestorePoint: fc.Arbitrary<RestorePoint> = fc.oneof(
  fc.record(
    {
      kind: fc.constant('lsn' as const),
      host: hostileText,
      lsn: hostileText,
      takenAt: anyTime,
      usableUntil: anyTime,
    },
    { requiredKeys: ['kind', 'host', 'lsn', 'takenAt'], noNullPrototype: true },
  ),
  fc.record(
    {
      kind: fc.constant('branch' as const),
      branchId: hostileText,
      restoreBranchId: hostileText,
      name: hostileText,
      takenAt: anyTime,
    },
    { noNullPrototype: true },
  ),
);

const anyMigration: fc.Arbitrary<MigrationRecord> = fc.record(
  {
    from: hostileText,
    to: hostileText,
    applied: fc.array(hostileText, { maxLength: 3 }),
    pending: fc.array(hostileText, { maxLength: 3 }),
    restorePoint: anyRestorePoint,
  },
  { requiredKeys: ['applied'], noNullPrototype: true },
);

const anyPlainResult: fc.Arbitrary<TenantResult> = fc.oneof(
  fc.record({ status: fc.constant('succeeded' as const), detail: hostileText }),
  fc.record({
    status: fc.constant('unchanged' as const),
    reason: fc.constantFrom(...UNCHANGED_REASONS),
    detail: hostileText,
  }),
  fc.record({ status: fc.constant('rolled-back' as const), detail: hostileText, error: explanation }),
  fc.record(
    {
      status: fc.constant('failed' as const),
      detail: hostileText,
      error: explanation,
      infrastructure: fc.constant(true as const),
      stopsRollout: fc.constant(true as const),
    },
    { requiredKeys: ['status', 'detail', 'error'], noNullPrototype: true },
  ),
  fc.record(
    {
      status: fc.constant('skipped' as const),
      reason: fc.constantFrom(...SKIP_REASONS),
      detail: hostileText,
      error: explanation,
    },
    { requiredKeys: ['status', 'reason', 'detail'], noNullPrototype: true },
  ),
);

const anyResult: fc.Arbitrary<TenantResult> = fc
  .tuple(anyPlainResult, fc.option(anyMigration, { nil: undefined }))
  .map(([result, migration]) => (migration === undefined ? result : { ...result, migration }));

/** Any outcome that can be. */
export const anyOutcome: fc.Arbitrary<Outcome> = fc
  .record({
    result: anyResult,
    identity: fc.record({
      projectId: hostileText,
      name: hostileText,
      database: hostileText,
      attempts: fc.nat(5),
      startedAt: anyTime,
      durationMs: fc.nat(10_000_000),
    }),
  })
  .map(({ result, identity }) => ({ ...identity, ...result }));
