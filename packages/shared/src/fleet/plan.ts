import { readFile } from 'node:fs/promises';

import { z } from 'zod';

import { ExplainedError, systemCode } from '../errors/index.js';
import { BUCKET_NAME, FOLDER, KMS_KEY, STORE_REGION } from '../s3/names.js';
import { maxFailuresOf, shareBudget, type MaxFailures } from './error-budget.js';
import type { BackupSettings } from './fleet-file-schema.js';
import { identityOf } from './order.js';
import { outcomeSchema, type Outcome } from './outcome.js';
import { ACTIONS, type FleetReport } from './report.js';
import { makeShards, type ShardingOptions } from './shards.js';
import type { Selectable } from './selection.js';
import type { Tenant } from './tenant.js';
import { assignWaves, type WaveSpec } from './waves.js';
import { writeWhole } from './write-whole.js';

/** As the fleet file gives it once it has been read; checked again, since a plan comes from another job. */
const backupSchema = z.object({
  every: z.int().positive().exactOptional(),
  retention: z.string().exactOptional(),
  bucket: z.string().regex(BUCKET_NAME).exactOptional(),
  prefix: z.string().regex(FOLDER).exactOptional(),
  'aws-region': z.string().regex(STORE_REGION).exactOptional(),
  'kms-key': z.string().regex(KMS_KEY).exactOptional(),
}) satisfies z.ZodType<BackupSettings>;

const tenantSchema = z.object({
  key: z.string(),
  projectId: z.string(),
  name: z.string(),
  branch: z.string().exactOptional(),
  database: z.string(),
  role: z.string(),
  assumed: z.object({ database: z.boolean(), role: z.boolean() }),
  labels: z.record(z.string(), z.string()),
  historyRetentionSeconds: z.int().nonnegative().exactOptional(),
  regionId: z.string().exactOptional(),
  pgVersion: z.int().positive().exactOptional(),
  storageBytes: z.number().nonnegative().exactOptional(),
  backup: backupSchema.exactOptional(),
}) satisfies z.ZodType<Tenant>;

const number = z.int().positive();

const SCHEMA_VERSION = 1;

/** What one job decided for the jobs after it. Holds nothing secret: it travels as an artifact. */
export const planSchema = z.object({
  schemaVersion: z.literal(SCHEMA_VERSION),
  id: z.uuid(),
  action: z.enum(ACTIONS),
  createdAt: z.iso.datetime(),
  runUrl: z.string().exactOptional(),
  /** What those who carry it out must agree with, such as a digest of the migrations. */
  settings: z.record(z.string(), z.string()),
  /** Failures that are allowed over all shards together. */
  maxFailures: z.int().nonnegative(),
  waves: z.array(z.object({ wave: number, name: z.string(), tenants: z.int().nonnegative(), shards: z.array(number) })),
  shards: z.array(
    z.object({ shard: number, wave: number, maxFailures: z.int().nonnegative(), tenants: z.array(tenantSchema) }),
  ),
  /** Outcomes that are known without any work. */
  settled: z.array(outcomeSchema),
});

export type Plan = Readonly<z.infer<typeof planSchema>>;
export type PlannedShard = Plan['shards'][number];
export type PlannedTenant = PlannedShard['tenants'][number];

/** What a plan is made from. */
export interface PlanSource extends ShardingOptions {
  readonly id: string;
  readonly action: FleetReport['action'];
  readonly createdAt: Date;
  readonly runUrl?: string | undefined;
  readonly settings: Readonly<Record<string, string>>;
  readonly maxFailures: MaxFailures;
  readonly waves: readonly WaveSpec[];
  /** Those that there may be work for. */
  readonly tenants: readonly Tenant[];
  readonly settled: readonly Outcome[];
}

/**
 * Decides who is worked on in which wave and which shard, and how many failures each shard may have.
 *
 * @throws ExplainedError when a name in the waves matches nobody, when there are more waves than shards allowed, or when
 *   one database was selected twice.
 */
export function makePlan(source: PlanSource): Plan {
  requireDistinct(source.tenants);
  const maxFailures = maxFailuresOf(source.maxFailures, source.tenants.length);
  const waves = assignWaves(source.tenants, source.waves, source.settled.map(selectableOf));
  const shards = makeShards(waves, source);
  const shares = shareBudget(
    maxFailures,
    shards.map(({ tenants }) => tenants.length),
  );
  return {
    schemaVersion: SCHEMA_VERSION,
    id: source.id,
    action: source.action,
    createdAt: source.createdAt.toISOString(),
    ...(source.runUrl === undefined ? {} : { runUrl: source.runUrl }),
    settings: { ...source.settings },
    maxFailures,
    waves: waves.map(({ wave, name, tenants }) => ({
      wave,
      name,
      tenants: tenants.length,
      shards: shards.filter((shard) => shard.wave === wave).map(({ shard }) => shard),
    })),
    shards: shards.map(({ shard, wave, tenants }, index) => ({
      shard,
      wave,
      maxFailures: shares[index] ?? 0,
      tenants: tenants.map((tenant) => ({ ...tenant, assumed: { ...tenant.assumed }, labels: { ...tenant.labels } })),
    })),
    settled: [...source.settled],
  };
}

function selectableOf({ name, projectId }: Outcome): Selectable {
  return { key: name, name, projectId };
}

function requireDistinct(tenants: readonly Tenant[]): void {
  const twice = firstTwice(tenants);
  if (twice === undefined) return;
  throw new ExplainedError({
    message: `the database ${JSON.stringify(twice.database)} of ${JSON.stringify(twice.name)} (${twice.projectId}) was selected twice; nothing was done`,
  });
}

function firstTwice(tenants: readonly Tenant[]): Tenant | undefined {
  const seen = new Set<string>();
  return tenants.find((tenant) => {
    const identity = identityOf(tenant);
    if (seen.has(identity)) return true;
    seen.add(identity);
    return false;
  });
}

/** Writes a plan so that there is either all of it or none. */
export async function writePlan(plan: Plan, file: string): Promise<void> {
  await writeWhole(file, `${JSON.stringify(plan)}\n`);
}

/** @throws ExplainedError when the file is not there, not a plan, of another version, or contradicts itself. */
export async function readPlan(file: string): Promise<Plan> {
  const given = parsePlan(await readPlanFile(file), file);
  const version = z.object({ schemaVersion: z.unknown() }).safeParse(given).data?.schemaVersion;
  if (version !== undefined && version !== SCHEMA_VERSION) {
    throw new ExplainedError({
      message: `${file} is a plan of version ${JSON.stringify(version)}; this version of neon-fleet reads version ${SCHEMA_VERSION}`,
      hint: 'Use the same version of neon-fleet for plan, apply and report.',
    });
  }
  const plan = planSchema.safeParse(given);
  if (!plan.success) {
    const [issue] = plan.error.issues;
    throw noPlan(file, `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not as expected'}`);
  }
  const contradiction = contradictionIn(plan.data);
  if (contradiction !== undefined) throw noPlan(file, contradiction);
  return plan.data;
}

async function readPlanFile(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (thrown) {
    const missing = systemCode(thrown) === 'ENOENT';
    throw new ExplainedError(
      {
        message: missing ? `there is no plan at ${file}` : `the plan at ${file} cannot be read`,
        hint: 'The command plan writes one; another job gets it as an artifact (upload-artifact, download-artifact).',
      },
      { cause: thrown },
    );
  }
}

function parsePlan(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw noPlan(file, 'it is not JSON');
  }
}

function noPlan(file: string, why: string): ExplainedError {
  return new ExplainedError({
    message: `${file} is not a plan: ${why}`,
    hint: 'Was the artifact downloaded whole, and is it the plan that the command plan wrote?',
  });
}

/**
 * A plan in which somebody is twice, or a shard belongs nowhere, would have somebody done twice or never; shares beyond the
 * budget would let more fail than were allowed.
 */
function contradictionIn({ maxFailures, waves, shards, settled }: Plan): string | undefined {
  const planned = shards.flatMap(({ tenants }) => tenants);
  const ended = new Set(settled.map(identityOf));
  const twice = firstTwice(planned) ?? planned.find((tenant) => ended.has(identityOf(tenant)));
  if (twice !== undefined) return `${twice.projectId} is in it twice`;
  if (new Set(shards.map(({ shard }) => shard)).size < shards.length) return 'a shard is in it twice';
  for (const { wave, tenants, shards: numbers } of waves) {
    const own = shards.filter((shard) => shard.wave === wave);
    const sameShards = own.map(({ shard }) => shard).join() === numbers.join();
    const inThem = own.reduce((sum, shard) => sum + shard.tenants.length, 0);
    if (!sameShards || inThem !== tenants) return `wave ${wave} is not what its shards are`;
  }
  const astray = shards.find((shard) => waves.every(({ wave }) => wave !== shard.wave));
  if (astray !== undefined) return `shard ${astray.shard} belongs to no wave`;
  if (!areCounted(shards.map(({ shard }) => shard))) return `its shards are not numbered from 1 to ${shards.length}`;
  if (!areCounted(waves.map(({ wave }) => wave))) return `its waves are not numbered from 1 to ${waves.length}`;
  const shares = shards.reduce((sum, shard) => sum + shard.maxFailures, 0);
  if (shards.length === 0 || shares === maxFailures) return undefined;
  return `its shards may have ${shares} failures together, and the whole fleet ${maxFailures}`;
}

function areCounted(numbers: readonly number[]): boolean {
  return numbers.every((number, index) => number === index + 1);
}

/**
 * Compares what a plan was made for with what is about to be done.
 *
 * @throws ExplainedError that names each difference: a plan of other migrations, or of another action, is not carried out.
 */
export function requireAgreement(
  plan: Plan,
  action: FleetReport['action'],
  settings: Readonly<Record<string, string>>,
): void {
  const names = [...new Set([...Object.keys(plan.settings), ...Object.keys(settings)])].toSorted();
  const differences = [
    ...(plan.action === action ? [] : [`it is a plan for ${plan.action}, and this is ${action}`]),
    ...names
      .filter((name) => plan.settings[name] !== settings[name])
      .map((name) => `${name} was ${shown(plan.settings[name])} and is ${shown(settings[name])}`),
  ];
  if (differences.length === 0) return;
  throw new ExplainedError({
    message: `the plan was made for something else; nothing was done.\n${differences.map((line) => `  ${line}`).join('\n')}`,
    hint: 'Check out the same commit and give the same inputs as in the job that made the plan, or make a new plan.',
  });
}

function shown(value: string | undefined): string {
  return value === undefined ? 'not set' : JSON.stringify(value);
}

/** @throws ExplainedError when the plan has no such shard. */
export function shardOf(plan: Plan, shard: number): PlannedShard {
  const found = plan.shards.find((one) => one.shard === shard);
  if (found !== undefined) return found;
  const what =
    plan.shards.length === 0 ? 'no shard at all: there is nothing to do' : `the shards 1 to ${plan.shards.length}`;
  throw new ExplainedError({ message: `shard: the plan has ${what}, and not ${shard}` });
}
