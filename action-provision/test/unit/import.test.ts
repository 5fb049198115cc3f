import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { parseFleetFile, resolveFleet } from '@neon-fleet/shared/fleet';
import type { ProjectState } from '@neon-fleet/shared/neon';

import { importProjects } from '../../src/import.js';
import { planProvision } from '../../src/plan.js';
import { state } from '../support.js';

function listing(projects: readonly ProjectState[]) {
  return { projects, unavailableProjectIds: [] };
}

/** What a plan of a file says about an organisation. */
function planOf(text: string, projects: readonly ProjectState[]) {
  const file = parseFleetFile(text);
  return planProvision({ desired: resolveFleet(file), ignored: file.ignored, listing: listing(projects) });
}

describe('an import', () => {
  const projects = [
    state('ACME Corp', 'p-1'),
    state('Payroll Inc', 'p-2', { regionId: 'aws-eu-central-1', historyRetentionSeconds: 604_800 }),
    state('Globex', 'p-3', {
      settings: {
        quota: { compute_time_seconds: 360_000 },
        allowed_ips: { ips: ['10.0.0.1'], protected_branches_only: true },
      },
    }),
    state('staging-1', 'p-4'),
    state('Twin', 'p-5'),
    state('Twin', 'p-6'),
    state('line\nbreak', 'p-7'),
  ];

  test('writes a new file, with common values as defaults, deviations, and reasons for doubts', () => {
    expect(importProjects('', listing(projects)).text)
      .toBe(`# yaml-language-server: $schema=https://raw.githubusercontent.com/org/neon-fleet/v1/fleet.schema.json

defaults:
  region: aws-us-east-1
  postgres: 17
  autoscaling:
    min: 0.25
    max: 2
  history-retention: 1d
tenants:
  - key: acme-corp
    name: ACME Corp
    project-id: p-1
  - key: payroll-inc
    name: Payroll Inc
    project-id: p-2
    region: aws-eu-central-1
    history-retention: 7d
  - key: globex
    name: Globex
    project-id: p-3
    quota:
      compute-time: 100h
    allowed-ips:
      ips:
        - 10.0.0.1
      protected-branches-only: true
ignored:
  - p-4 # "staging-1": its name does not look like that of a customer
  - p-5 # "Twin": 2 projects are called that
  - p-6 # "Twin": 2 projects are called that
  - p-7 # "line break": its name cannot stand in this file
`);
  });

  test('keeps comments, order and words of a file, and fills in ids', () => {
    const before = `# our fleet
defaults: { region: aws-us-east-1, quota: { compute-time: 100h } } # keep
ignored: [ tools ] # none of ours
tenants:
  # the second first
  - { key: pay, name: Payroll Inc, region: aws-eu-central-1 } # in Frankfurt
  - key: acme
    name: ACME Corp # the first
    project-id: p-1
`;
    const { text, projects: what } = importProjects(before, listing([...projects.slice(0, 3), state('tools', 'p-9')]));
    expect(text).toContain('# our fleet\n');
    expect(text).toContain('} # keep');
    expect(text).toContain('# the second first');
    expect(text).toContain('project-id: p-2 } # in Frankfurt');
    expect(text).toContain('name: ACME Corp # the first');
    expect(text.indexOf('key: pay')).toBeLessThan(text.indexOf('key: acme'));
    expect(text.indexOf('ignored')).toBeLessThan(text.indexOf('tenants'));
    expect(Object.fromEntries(what.map(({ project, what: kind }) => [project.projectId, kind]))).toStrictEqual({
      'p-1': 'known',
      'p-2': 'identified',
      'p-3': 'added',
      'p-9': 'known',
    });
    const again = importProjects(text, listing(projects.slice(0, 3)));
    expect(again.text).toBe(text);
  });

  test('gives tenants of one key-like name keys of their own, also when a glob would take one out', () => {
    const twins = [state('Acme', 'p-1'), state('ACME!', 'p-2'), state('Old Shop', 'p-3'), state('日本', 'p-4')];
    const { text } = importProjects('ignored: [old-*]\n', listing(twins));
    expect(parseFleetFile(text).tenants.map(({ key }) => key)).toStrictEqual(['acme', 'acme-2', 'p-3', 'p-4']);
  });

  test('leaves a plan nothing to change, whatever the organisation has', () => {
    const settings = fc.record({
      quota: fc.record({ compute_time_seconds: fc.nat(1_000_000), logical_size_bytes: fc.nat(10 ** 12) }),
      allowed_ips: fc.record({
        ips: fc.uniqueArray(fc.ipV4(), { maxLength: 2 }),
        protected_branches_only: fc.boolean(),
      }),
      enable_logical_replication: fc.boolean(),
    });
    const project = fc
      .record({
        name: fc.oneof(
          fc.string({ unit: 'binary', minLength: 1, maxLength: 30 }),
          fc.constantFrom('A', 'B', 'null', '1', '~', 'a: b', '#x', "'"),
        ),
        regionId: fc.constantFrom('aws-us-east-1', 'aws-eu-central-1'),
        pgVersion: fc.constantFrom(16, 17),
        historyRetentionSeconds: fc.nat(2_592_000),
        settings,
        min: fc.constantFrom(0.25, 1),
        max: fc.constantFrom(1, 8),
        suspend: fc.constantFrom(0, -1, 60, 3_600),
      })
      .map(({ min, max, suspend, ...rest }) => ({
        ...rest,
        defaultEndpointSettings: {
          autoscaling_limit_min_cu: min,
          autoscaling_limit_max_cu: max,
          suspend_timeout_seconds: suspend,
        },
      }));
    const before = fc.constantFrom(
      '',
      'defaults: { quota: { compute-time: 1h }, allowed-ips: { ips: [10.0.0.1] }, suspend-after: 1h, region: aws-us-east-1 }\n',
      'groups:\n  - match: "*"\n    history-retention: 7d\n    logical-replication: true\n',
    );
    fc.assert(
      fc.property(fc.array(project, { maxLength: 12 }), before, (many, text) => {
        const there = many.map(({ name, ...rest }, index) => state(name, `p-${index}`, rest));
        const result = planOf(importProjects(text, listing(there)).text, there);
        expect(result.steps.filter(({ step }) => step !== 'unchanged')).toStrictEqual([]);
        expect(result.unlisted).toStrictEqual([]);
        expect(result.steps.length + result.ignored.length).toBe(there.length);
      }),
    );
  });
});
