import { readFile } from 'node:fs/promises';
import path from 'node:path';

import { parse } from 'yaml';

import { ROOT } from '../../scripts/actions.js';
import { fillIn, valueOf, wouldRun, type Contexts, type EndedJob, type JobResult } from './workflow-conditions.js';

export interface Step {
  readonly id?: string;
  readonly if?: string;
  readonly uses?: string;
  readonly run?: string;
  readonly with?: Readonly<Record<string, string | number | boolean>>;
}

export interface Job {
  readonly needs?: string | readonly string[];
  readonly if?: string;
  readonly 'runs-on': string;
  readonly outputs?: Readonly<Record<string, string>>;
  readonly strategy?: { readonly 'max-parallel': string; readonly matrix: string };
  readonly steps: readonly Step[];
}

type Value = string | number | boolean;

export interface ReusableWorkflow {
  readonly on: {
    readonly workflow_call: {
      readonly inputs: Readonly<Record<string, { readonly required?: boolean; readonly default?: Value }>>;
      readonly outputs: Readonly<Record<string, { readonly value: string }>>;
    };
  };
  readonly jobs: Readonly<Record<string, Job>>;
}

export async function readFleetWorkflow(name: 'migrate-fleet' | 'backup-fleet'): Promise<ReusableWorkflow> {
  const file = path.join(ROOT, '.github', 'workflows', `${name}.yml`);
  return parse(await readFile(file, 'utf8')) as ReusableWorkflow;
}

/** What a caller's inputs come to, with the defaults of those that were left out. */
export function inputsOf(workflow: ReusableWorkflow, given: Readonly<Record<string, Value>>): Record<string, Value> {
  const { inputs } = workflow.on.workflow_call;
  const defaults = Object.entries(inputs).map(([name, { default: value }]) => [name, value ?? ''] as const);
  return { ...Object.fromEntries(defaults), ...given };
}

/** What a job would come to if it ran, and whether it is while it runs that somebody cancels the whole run. */
export interface Fate {
  readonly result?: JobResult;
  /** What its steps would put out, by the id of the step. */
  readonly steps?: Readonly<Record<string, { readonly outcome?: JobResult; readonly outputs: Record<string, string> }>>;
  readonly cancelsRun?: boolean;
}

export interface WorkflowRun {
  /** The jobs that ran, in the order of the file. */
  readonly ran: readonly string[];
  readonly jobs: Readonly<Record<string, EndedJob>>;
  /** What each job that has one would make of its matrix. */
  readonly matrices: Readonly<Record<string, unknown>>;
  /** What the caller sees. */
  readonly outputs: Readonly<Record<string, string>>;
  /** The inputs of the steps that use an action, filled in, by job. */
  readonly inputsOfSteps: Readonly<Record<string, readonly Record<string, string>[]>>;
}

const GITHUB = { run_attempt: '1', actor: 'somebody' };

/** Plays a run through: which jobs GitHub would start, decided by their real conditions, when these are their fates. */
export function play(
  workflow: ReusableWorkflow,
  inputs: Readonly<Record<string, Value>>,
  fates: Readonly<Record<string, Fate>>,
): WorkflowRun {
  const jobs: Record<string, EndedJob> = {};
  const matrices: Record<string, unknown> = {};
  const inputsOfSteps: Record<string, Record<string, string>[]> = {};
  const ran: string[] = [];
  let cancelled = false;

  for (const [id, job] of Object.entries(workflow.jobs)) {
    const needs = Object.fromEntries(needsOf(job).map((name) => [name, ended(jobs, name)]));
    const contexts: Contexts = { inputs, needs, github: GITHUB };
    const ancestors = ancestorsOf(workflow, id).map((name) => ended(jobs, name).result);
    if (!wouldRun(job.if, contexts, { cancelled, ancestors })) {
      jobs[id] = { result: 'skipped', outputs: {} };
      continue;
    }
    ran.push(id);
    const { result = 'success', steps = {}, cancelsRun = false } = fates[id] ?? {};
    const all: Contexts = {
      ...contexts,
      secrets: { 'neon-api-key': 'napi_key', 'catalog-url': 'postgresql://writer:word@catalog/fleet' },
      runner: { temp: '/temp' },
      steps: Object.fromEntries(
        Object.entries(steps).map(([step, { outcome = 'success', outputs }]) => [step, { outcome, outputs }]),
      ),
      matrix: {},
    };
    fillIn(job['runs-on'], all);
    if (job.strategy !== undefined) {
      matrices[id] = valueOf(job.strategy.matrix, all);
      all['matrix'] = { shard: 1 };
    }
    inputsOfSteps[id] = job.steps.flatMap(({ with: given }) => (given === undefined ? [] : [filled(given, all)]));
    jobs[id] = { result, outputs: filled(job.outputs ?? {}, all) };
    cancelled ||= cancelsRun;
  }
  const values = Object.entries(workflow.on.workflow_call.outputs).map(([name, { value }]) => [name, value] as const);
  return { ran, jobs, matrices, inputsOfSteps, outputs: filled(Object.fromEntries(values), { jobs, inputs }) };
}

function needsOf({ needs = [] }: Job): readonly string[] {
  return typeof needs === 'string' ? [needs] : needs;
}

function ancestorsOf(workflow: ReusableWorkflow, id: string): string[] {
  const direct = needsOf(workflow.jobs[id] ?? { 'runs-on': '', steps: [] });
  return [...new Set(direct.flatMap((name) => [name, ...ancestorsOf(workflow, name)]))];
}

function ended(jobs: Readonly<Record<string, EndedJob>>, name: string): EndedJob {
  const job = jobs[name];
  if (job === undefined) throw new Error(`${name} is needed before it has ended`);
  return job;
}

export function filled(texts: Readonly<Record<string, Value>>, contexts: Contexts): Record<string, string> {
  return Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, fillIn(String(text), contexts)]));
}
