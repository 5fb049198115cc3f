import { describe, expect, test } from '@jest/globals';

import { changesOf, creationOf, endpointChangeOf, updateOf } from '../../src/settings.js';
import { desired, state } from '../support.js';

describe('what is sent', () => {
  test('is nothing when nothing was set', () => {
    const tenant = desired('a');
    expect(changesOf(tenant, state('A', 'p'))).toStrictEqual([]);
    expect(updateOf(tenant, state('A', 'p'))).toStrictEqual({});
    expect(creationOf(tenant, 'x')).toStrictEqual({
      name: 'A',
      branch: { annotations: { 'neon-fleet-key': 'a', 'neon-fleet-attempt': 'x' } },
    });
  });

  test('never has a suspend timeout that nobody set: the Free plan refuses it', () => {
    const tenant = desired('a', {}, { autoscaling: { max: 4 } });
    expect(updateOf(tenant, state('A', 'p'))).toStrictEqual({
      default_endpoint_settings: { autoscaling_limit_min_cu: 0.25, autoscaling_limit_max_cu: 4 },
    });
    expect(endpointChangeOf(tenant, changesOf(tenant, state('A', 'p')))).toStrictEqual({ autoscaling_limit_max_cu: 4 });
  });

  test('keeps the quotas that nobody set', () => {
    const there = state('A', 'p', { settings: { quota: { data_transfer_bytes: 7, compute_time_seconds: 8 } } });
    expect(updateOf(desired('a', {}, { quota: { 'compute-time': 9 } }), there)).toStrictEqual({
      settings: { quota: { data_transfer_bytes: 7, compute_time_seconds: 9 } },
    });
  });

  test('leaves out what is as it should be, however it is written', () => {
    const there = state('A', 'p', {
      settings: {
        allowed_ips: { ips: ['b', 'a'] },
        maintenance_window: { weekdays: [7, 6], start_time: '02:00', end_time: '03:00' },
      },
    });
    const tenant = desired(
      'a',
      {},
      {
        'allowed-ips': { ips: ['a', 'b'] },
        'maintenance-window': { weekdays: [6, 7], start: '02:00', end: '03:00' },
        quota: { 'compute-time': 0 },
        'logical-replication': false,
      },
    );
    expect(changesOf(tenant, there)).toStrictEqual([]);
  });

  test('of computes is nothing when only the project is concerned', () => {
    const tenant = desired('a', {}, { 'history-retention': 1 });
    expect(endpointChangeOf(tenant, changesOf(tenant, state('A', 'p')))).toBeUndefined();
  });
});
