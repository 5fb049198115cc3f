import { mkdir } from 'node:fs/promises';
import path from 'node:path';

import type { ActionRun, FinishedAction } from '@neon-fleet/local-runner';

import type { ActionName } from '../../scripts/actions.js';
import type { StepOptions, TestFleet } from './fleet.js';

/** A plan as the jobs of a workflow hand it on: each job has a folder of its own, and artifacts are files in them. */
export class Workflow {
  #jobs = 0;

  constructor(
    private readonly fleet: TestFleet,
    private readonly action: ActionName,
    /** Where the folders of the jobs are: what all artifacts together are downloaded to. */
    readonly folder: string,
    /** What every job of the workflow is given. */
    private readonly inputs: Readonly<Record<string, string>>,
  ) {}

  get planFile(): string {
    return path.join(this.folder, 'plan', 'temp', 'neon-fleet', 'plan.json');
  }

  async plan(inputs: Readonly<Record<string, string>>): Promise<FinishedAction> {
    const folder = path.join(this.folder, 'plan');
    await mkdir(folder, { recursive: true });
    return this.fleet.run(this.action, { command: 'plan', ...this.inputs, ...inputs }, { folder });
  }

  /** Starts the job of one shard; `attempt` is that of the workflow run. */
  async startApply(
    shard: number,
    inputs: Readonly<Record<string, string>> = {},
    { attempt = 1, ...options }: StepOptions & { attempt?: number } = {},
  ): Promise<ActionRun> {
    this.#jobs += 1;
    const folder = path.join(this.folder, `job-${this.#jobs}`);
    await mkdir(folder, { recursive: true });
    return this.fleet.start(
      this.action,
      {
        command: 'apply',
        plan: this.planFile,
        shard: String(shard),
        reports: this.folder,
        ...this.inputs,
        ...inputs,
      },
      { folder, ...options, env: { GITHUB_RUN_ATTEMPT: String(attempt), ...options.env } },
    );
  }

  async apply(...args: Parameters<Workflow['startApply']>): Promise<FinishedAction> {
    return (await this.startApply(...args)).finished;
  }

  async report(inputs: Readonly<Record<string, string>> = {}): Promise<FinishedAction> {
    return this.fleet.run(this.action, {
      command: 'report',
      plan: this.planFile,
      reports: this.folder,
      ...inputs,
    });
  }
}

/** The numbers of the shards that a step's output `matrix` names. */
export function shardsOf({ outputs }: FinishedAction): number[] {
  const matrix = JSON.parse(outputs['matrix'] ?? '{}') as { shard?: number[] };
  return matrix.shard ?? [];
}
