import type { EventRecord, OutcomeRecord, RunRecord } from '../catalog/index.js';
import { identityOf, isGreen, type FleetReport, type Outcome, type Tenant } from '../fleet/index.js';
import { runUrl, type RunEnvironment } from './announce.js';
import { attemptOf } from './apply-shard.js';
import type { RunContext } from './catalog.js';

/** What is known about a tenant besides its outcome. */
export interface KnownTenant {
  readonly key?: string;
  readonly regionId?: string;
  readonly pgVersion?: number;
  /** As the inputs named it; absent: the default branch. */
  readonly branch?: string;
  readonly role?: string;
  /** Whether the name of the database was only assumed. */
  readonly isDatabaseAssumed?: true;
  readonly from?: string;
  readonly to?: string;
  readonly verified?: { readonly table: string; readonly digest: string };
}

/** What was known about the tenants of a run before it, for each of its outcomes. */
export function knownTenants(tenants: readonly Tenant[]): (outcome: Outcome) => KnownTenant {
  const known = new Map(tenants.map((tenant) => [identityOf(tenant), tenant]));
  return (outcome) => {
    const tenant = known.get(identityOf(outcome));
    if (tenant === undefined) return {};
    const { key, regionId, pgVersion, branch, role, assumed } = tenant;
    return {
      key,
      ...(regionId === undefined ? {} : { regionId }),
      ...(pgVersion === undefined ? {} : { pgVersion }),
      ...(branch === undefined ? {} : { branch }),
      ...(assumed.role ? {} : { role }),
      ...(assumed.database ? { isDatabaseAssumed: true as const } : {}),
    };
  };
}

/** A report as the catalog takes it. All shards of a plan, and the report over them, are one run. */
export function runRecordOf(
  report: FleetReport,
  known: (outcome: Outcome) => KnownTenant = () => ({}),
  env: RunContext = process.env,
): RunRecord {
  const own = [env.GITHUB_REPOSITORY, env.GITHUB_RUN_ID, env.GITHUB_RUN_ATTEMPT, env.GITHUB_ACTION, report.startedAt];
  const { plan } = report;
  return {
    runKey: `${report.action}/${plan?.id ?? own.filter((part) => part !== undefined).join('/')}`,
    action: report.action,
    command: report.command,
    verdict: report.verdict,
    startedAt: report.startedAt,
    durationMs: report.durationMs,
    ...(report.runUrl === undefined ? {} : { runUrl: report.runUrl }),
    ...(env.GITHUB_ACTOR === undefined ? {} : { actor: env.GITHUB_ACTOR }),
    ...(plan === undefined ? {} : { part: { number: plan.shard ?? 0, attempt: plan.attempt ?? attemptOf(env) } }),
    outcomes: report.outcomes
      .filter(({ projectId }) => projectId !== '')
      .map((outcome) => outcomeRecord(report, outcome, known(outcome))),
  };
}

/**
 * What an action did to a project, as the catalog takes it: who, and in which run, is as the runner says.
 *
 * @param repeats whether it may happen to a project more than once; else there is one of its kind, however often it is told.
 */
export function eventOf(
  action: FleetReport['action'],
  what: string,
  projectId: string,
  at: Date,
  {
    repeats = false,
    env = process.env,
  }: { readonly repeats?: boolean; readonly env?: RunContext & RunEnvironment } = {},
): EventRecord {
  const url = runUrl(env);
  return {
    eventKey: `${what}/${projectId}${repeats ? `/${at.toISOString()}` : ''}`,
    at: at.toISOString(),
    action,
    what,
    projectId,
    ...(env.GITHUB_ACTOR === undefined ? {} : { actor: env.GITHUB_ACTOR }),
    ...(url === undefined ? {} : { runUrl: url }),
  };
}

function outcomeRecord(report: FleetReport, outcome: Outcome, known: KnownTenant): OutcomeRecord {
  const errorCode = 'error' in outcome ? outcome.error.code : undefined;
  const { migration } = outcome;
  // Nobody was looked at for what a plan settled without work, or what was not started.
  const isSeen = outcome.attempts > 0;
  const isGood = isGreen(outcome.status);
  const { verified } = migration ?? {};
  return {
    projectId: outcome.projectId,
    name: outcome.name,
    database: outcome.database,
    status: outcome.status,
    ...('reason' in outcome ? { reason: outcome.reason } : {}),
    ...(errorCode === undefined ? {} : { errorCode }),
    attempts: outcome.attempts,
    startedAt: outcome.startedAt,
    durationMs: outcome.durationMs,
    ...(migration?.from === undefined ? {} : { from: migration.from }),
    ...(migration?.to === undefined || !isSeen ? {} : { to: migration.to }),
    ...(migration !== undefined && isSeen ? { isVersionKnown: true } : {}),
    ...(verified !== undefined && isSeen && isGood ? { verified } : {}),
    ...(isSeen && leavesDoubt(report, outcome) ? { inDoubt: true } : {}),
    ...known,
  };
}

/**
 * Whether what was known about the schema of the whole project is not certain any more: where something failed, and where
 * a branch was put back, which takes all of its databases along.
 */
function leavesDoubt({ action, command }: FleetReport, { status }: Outcome): boolean {
  if (action === 'backup') return false;
  if (command === 'undo') return status !== 'unchanged' && status !== 'skipped';
  return !isGreen(status);
}
