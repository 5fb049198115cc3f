import { durationText, sizeText, type DesiredTenant, type TenantSettings } from '@neon-fleet/shared/fleet';
import type { CreateRequest, EndpointChange, ProjectState, UpdateRequest } from '@neon-fleet/shared/neon';

/** One setting that differs, in the words of the fleet file. */
export interface Change {
  /** Its place in the file, such as `quota.compute-time`. */
  readonly setting: string;
  readonly from: string;
  readonly to: string;
}

/** One thing that can be changed about a project: how to read it on both sides, and how to write it. */
interface Facet<T> {
  readonly setting: string;
  readonly wanted: (desired: DesiredTenant) => T | undefined;
  readonly actual: (state: ProjectState) => T | undefined;
  readonly same?: (wanted: T, actual: T | undefined) => boolean;
  readonly show: (value: T) => string;
  /** What has to be sent, given everything that is wanted and what is there. */
  readonly send: (desired: DesiredTenant, state: ProjectState | undefined) => UpdateRequest;
}

// The parsed type of a facet whose own type does not matter here.
function facet<T>(definition: Facet<T>): Facet<unknown> {
  return definition as Facet<unknown>;
}

const QUOTAS = {
  'active-time': ['active_time_seconds', durationText],
  'compute-time': ['compute_time_seconds', durationText],
  'written-data': ['written_data_bytes', sizeText],
  'data-transfer': ['data_transfer_bytes', sizeText],
  'logical-size': ['logical_size_bytes', sizeText],
} as const;

const WEEKDAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;

/** What was left out stays what it is, whether Neon puts a part that is sent in the place of the old one or into it. */
const quotaToSend: Facet<number>['send'] = ({ settings }, state) => ({
  settings: {
    quota: {
      ...state?.settings.quota,
      ...Object.fromEntries(
        Object.entries(QUOTAS).flatMap(([name, [field]]) => {
          const value = settings.quota?.[name as keyof typeof QUOTAS];
          return value === undefined ? [] : [[field, value]];
        }),
      ),
    },
  },
});

const limitsToSend: Facet<number>['send'] = ({ settings: { autoscaling = {} } }, state) => {
  const min = autoscaling.min ?? state?.defaultEndpointSettings.autoscaling_limit_min_cu;
  const max = autoscaling.max ?? state?.defaultEndpointSettings.autoscaling_limit_max_cu;
  return {
    default_endpoint_settings: {
      ...(min === undefined ? {} : { autoscaling_limit_min_cu: min }),
      ...(max === undefined ? {} : { autoscaling_limit_max_cu: max }),
    },
  };
};

const addressesToSend: Facet<unknown>['send'] = ({ settings }, state) => {
  const wanted = settings['allowed-ips'];
  const isForProtected = wanted?.['protected-branches-only'] ?? state?.settings.allowed_ips?.protected_branches_only;
  return {
    settings: {
      allowed_ips: {
        ips: wanted?.ips ?? [],
        ...(isForProtected === undefined ? {} : { protected_branches_only: isForProtected }),
      },
    },
  };
};

const FACETS: readonly Facet<unknown>[] = [
  facet<string>({
    setting: 'name',
    wanted: ({ name }) => name,
    actual: ({ name }) => name,
    show: (name) => JSON.stringify(name),
    send: ({ name }) => ({ name }),
  }),
  facet<number>({
    setting: 'autoscaling.min',
    wanted: ({ settings }) => settings.autoscaling?.min,
    actual: ({ defaultEndpointSettings }) => defaultEndpointSettings.autoscaling_limit_min_cu,
    show: units,
    send: limitsToSend,
  }),
  facet<number>({
    setting: 'autoscaling.max',
    wanted: ({ settings }) => settings.autoscaling?.max,
    actual: ({ defaultEndpointSettings }) => defaultEndpointSettings.autoscaling_limit_max_cu,
    show: units,
    send: limitsToSend,
  }),
  facet<number>({
    setting: 'suspend-after',
    wanted: ({ settings }) => settings['suspend-after'],
    actual: ({ defaultEndpointSettings }) => defaultEndpointSettings.suspend_timeout_seconds,
    show: suspendText,
    send: ({ settings }) => ({
      default_endpoint_settings: {
        ...(settings['suspend-after'] === undefined ? {} : { suspend_timeout_seconds: settings['suspend-after'] }),
      },
    }),
  }),
  ...Object.entries(QUOTAS).map(([name, [field, words]]) =>
    facet<number>({
      setting: `quota.${name}`,
      wanted: ({ settings }) => settings.quota?.[name as keyof typeof QUOTAS],
      // Neon takes no quota and a quota of zero for the same.
      actual: ({ settings }) => settings.quota?.[field] ?? 0,
      show: (value) => (value === 0 ? 'unlimited' : words(value)),
      send: quotaToSend,
    }),
  ),
  facet<number>({
    setting: 'history-retention',
    wanted: ({ settings }) => settings['history-retention'],
    actual: ({ historyRetentionSeconds }) => historyRetentionSeconds,
    show: durationText,
    send: ({ settings }) =>
      settings['history-retention'] === undefined ? {} : { history_retention_seconds: settings['history-retention'] },
  }),
  facet<readonly string[]>({
    setting: 'allowed-ips.ips',
    wanted: ({ settings }) => settings['allowed-ips']?.ips,
    actual: ({ settings }) => settings.allowed_ips?.ips ?? [],
    same: (wanted, actual = []) => sorted(wanted) === sorted(actual),
    show: (ips) => (ips.length === 0 ? 'everybody' : ips.toSorted().join(', ')),
    send: addressesToSend,
  }),
  facet<boolean>({
    setting: 'allowed-ips.protected-branches-only',
    wanted: ({ settings }) => settings['allowed-ips']?.['protected-branches-only'],
    actual: ({ settings }) => settings.allowed_ips?.protected_branches_only ?? false,
    show: String,
    send: addressesToSend,
  }),
  facet<boolean>({
    setting: 'logical-replication',
    wanted: ({ settings }) => settings['logical-replication'],
    actual: ({ settings }) => settings.enable_logical_replication ?? false,
    show: String,
    send: ({ settings }) => ({
      settings: {
        ...(settings['logical-replication'] === undefined
          ? {}
          : { enable_logical_replication: settings['logical-replication'] }),
      },
    }),
  }),
  facet<NonNullable<TenantSettings['maintenance-window']>>({
    setting: 'maintenance-window',
    wanted: ({ settings }) => settings['maintenance-window'],
    actual: ({ settings }) => {
      const window = settings.maintenance_window;
      return window && { weekdays: window.weekdays, start: window.start_time, end: window.end_time };
    },
    same: (wanted, actual) => actual !== undefined && windowText(wanted) === windowText(actual),
    show: windowText,
    send: ({ settings: { 'maintenance-window': window } }) => ({
      settings: {
        ...(window === undefined
          ? {}
          : {
              maintenance_window: {
                weekdays: [...window.weekdays],
                start_time: window.start,
                end_time: window.end,
              },
            }),
      },
    }),
  }),
];

const COMPUTE_SETTINGS = ['autoscaling.min', 'autoscaling.max', 'suspend-after'];

/** What has to be changed about a project so that it is as desired; what nobody set is not compared. */
export function changesOf(desired: DesiredTenant, state: ProjectState): Change[] {
  return differing(desired, state).map(({ facet: { setting, show }, wanted, actual }) => ({
    setting,
    from: actual === undefined ? 'not set' : show(actual),
    to: show(wanted),
  }));
}

/** The settings that a project is created with, for the plan. */
export function initialSettings(desired: DesiredTenant): Change[] {
  const { region, postgres } = desired.settings;
  return [
    ...(region === undefined ? [] : [{ setting: 'region', from: '', to: region }]),
    ...(postgres === undefined ? [] : [{ setting: 'postgres', from: '', to: String(postgres) }]),
    ...FACETS.flatMap(({ setting, wanted, show }) => {
      const value = wanted(desired);
      return value === undefined || setting === 'name' ? [] : [{ setting, from: '', to: show(value) }];
    }),
  ];
}

/** What to send so that a project becomes as desired: only what was set, and of that only what differs. */
export function updateOf(desired: DesiredTenant, state: ProjectState): UpdateRequest {
  return combine(differing(desired, state).map(({ facet: { send } }) => send(desired, state)));
}

/** What to send so that the computes that are there become as desired, too; undefined when they are not concerned. */
export function endpointChangeOf(desired: DesiredTenant, changes: readonly Change[]): EndpointChange | undefined {
  if (!changes.some(({ setting }) => COMPUTE_SETTINGS.includes(setting))) return undefined;
  const { autoscaling = {}, 'suspend-after': suspendAfter } = desired.settings;
  return {
    ...(autoscaling.min === undefined ? {} : { autoscaling_limit_min_cu: autoscaling.min }),
    ...(autoscaling.max === undefined ? {} : { autoscaling_limit_max_cu: autoscaling.max }),
    ...(suspendAfter === undefined ? {} : { suspend_timeout_seconds: suspendAfter }),
  };
}

/** A value as it stands in the fleet file. */
export type FileValue = string | number | boolean | readonly string[] | Readonly<Record<string, unknown>>;

/** What a project has, as the fleet file would say it, one entry for each thing that can be said. */
export function settingsInFile(
  state: ProjectState,
): { readonly setting: string; readonly value: FileValue; readonly isNeonsDefault: boolean }[] {
  const { defaultEndpointSettings: compute, settings, historyRetentionSeconds: history } = state;
  const window = settings.maintenance_window;
  const quotas = Object.entries(QUOTAS).map(([name, [field, words]]) => {
    const value = settings.quota?.[field] ?? 0;
    return { setting: `quota.${name}`, value: words(value), isNeonsDefault: value === 0 };
  });
  const { suspend_timeout_seconds: suspend, autoscaling_limit_min_cu: min, autoscaling_limit_max_cu: max } = compute;
  return [
    { setting: 'region', value: state.regionId, isNeonsDefault: false },
    { setting: 'postgres', value: state.pgVersion, isNeonsDefault: false },
    ...(min === undefined ? [] : [{ setting: 'autoscaling.min', value: min, isNeonsDefault: true }]),
    ...(max === undefined ? [] : [{ setting: 'autoscaling.max', value: max, isNeonsDefault: true }]),
    ...(suspend === undefined
      ? []
      : [{ setting: 'suspend-after', value: suspendText(suspend), isNeonsDefault: suspend === 0 }]),
    ...quotas,
    ...(history === undefined
      ? []
      : [{ setting: 'history-retention', value: durationText(history), isNeonsDefault: true }]),
    {
      setting: 'allowed-ips.ips',
      value: settings.allowed_ips?.ips ?? [],
      isNeonsDefault: (settings.allowed_ips?.ips ?? []).length === 0,
    },
    {
      setting: 'allowed-ips.protected-branches-only',
      value: settings.allowed_ips?.protected_branches_only ?? false,
      isNeonsDefault: settings.allowed_ips?.protected_branches_only !== true,
    },
    {
      setting: 'logical-replication',
      value: settings.enable_logical_replication ?? false,
      isNeonsDefault: settings.enable_logical_replication !== true,
    },
    ...(window === undefined
      ? []
      : [
          {
            setting: 'maintenance-window',
            value: {
              weekdays: window.weekdays.map((day) => WEEKDAYS[day - 1]).filter((day) => day !== undefined),
              start: window.start_time,
              end: window.end_time,
            },
            isNeonsDefault: true, // Neon gives every project of a paid plan one of its own
          },
        ]),
  ];
}

/** Notes on the default branch of a project that was made here: whose it is, and which attempt made it. */
export const NOTES = { key: 'neon-fleet-key', attempt: 'neon-fleet-attempt' } as const;

/** What a new project is made from. */
export function creationOf(desired: DesiredTenant, attempt: string): CreateRequest {
  const { region, postgres, branch, database, role } = desired.settings;
  return {
    ...combine(
      FACETS.filter(({ wanted }) => wanted(desired) !== undefined).map(({ send }) => send(desired, undefined)),
    ),
    ...(region === undefined ? {} : { region_id: region }),
    ...(postgres === undefined ? {} : { pg_version: postgres }),
    branch: {
      ...(branch === undefined ? {} : { name: branch }),
      ...(database === undefined ? {} : { database_name: database }),
      ...(role === undefined ? {} : { role_name: role }),
      annotations: { [NOTES.key]: desired.key, [NOTES.attempt]: attempt },
    },
  };
}

/** Differences that no call can remove; empty when there is none. */
export function unchangeableOf({ settings }: DesiredTenant, state: ProjectState): string[] {
  return [
    ...(settings.region !== undefined && settings.region !== state.regionId
      ? [`it is in ${state.regionId}, not in ${settings.region}`]
      : []),
    ...(settings.postgres !== undefined && settings.postgres !== state.pgVersion
      ? [`it runs PostgreSQL ${state.pgVersion}, not ${settings.postgres}`]
      : []),
    ...(settings['logical-replication'] === false && state.settings.enable_logical_replication === true
      ? ['its logical replication is on, and cannot be turned off again']
      : []),
  ];
}

function differing(desired: DesiredTenant, state: ProjectState) {
  return FACETS.flatMap((each) => {
    const wanted = each.wanted(desired);
    if (wanted === undefined) return [];
    const actual = each.actual(state);
    const same = each.same?.(wanted, actual) ?? wanted === actual;
    return same ? [] : [{ facet: each, wanted, actual }];
  });
}

function combine(requests: readonly UpdateRequest[]): UpdateRequest {
  return requests.reduce<UpdateRequest>(
    (all, each) => ({
      ...all,
      ...each,
      ...(all.settings === undefined && each.settings === undefined
        ? {}
        : { settings: { ...all.settings, ...each.settings } }),
      ...(all.default_endpoint_settings === undefined && each.default_endpoint_settings === undefined
        ? {}
        : { default_endpoint_settings: { ...all.default_endpoint_settings, ...each.default_endpoint_settings } }),
    }),
    {},
  );
}

function suspendText(seconds: number): string {
  if (seconds === 0) return 'default';
  return seconds === -1 ? 'never' : durationText(seconds);
}

function units(value: number): string {
  return `${value} CU`;
}

function sorted(texts: readonly string[]): string {
  return JSON.stringify(texts.toSorted());
}

function windowText({ weekdays, start, end }: NonNullable<TenantSettings['maintenance-window']>): string {
  const days = weekdays.toSorted((a, b) => a - b).map((day) => WEEKDAYS[day - 1] ?? String(day));
  return `${days.join(', ')} ${start}-${end} UTC`;
}
