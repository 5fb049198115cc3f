import { describe, expect, test } from '@jest/globals';
import { RateLimit } from '../../src/api/rate-limit.js';
import { computeState, startCompute, suspendCompute, suspendedAt, touchCompute } from '../../src/state/compute.js';
import { databasesAt, parseLsn, stateAt } from '../../src/state/history.js';
import { newId, newPassword, newProjectId, physicalName } from '../../src/state/names.js';
import { busyUntil, operationStatus, planOperations } from '../../src/state/operations.js';
import { defaultBranch, Store, writeEndpoint } from '../../src/state/store.js';

describe('names', () => {
  test('ids are such as the API allows', () => {
    for (const id of [newProjectId(), newId('br'), newId('ep')]) expect(id).toMatch(/^[a-z0-9-]{1,60}$/);
    expect(newPassword()).not.toBe(newPassword());
  });

  test('physical names fit into 63 bytes and stay distinct', () => {
    expect(physicalName('p', 'neondb', 7)).toBe('p.neondb.7');
    const long = 'ä'.repeat(60);
    const names = [physicalName('p', long, 1), physicalName('p', long, 2)];
    for (const name of names) expect(Buffer.byteLength(name)).toBeLessThanOrEqual(63);
    expect(names[0]).not.toBe(names[1]);
  });
});

test('operations run one after the other, by the clock', () => {
  const planned = planOperations([{ action: 'create_timeline' }, { action: 'start_compute' }], 1000, 100, 'broken');
  const at = (now: number) => planned.map((operation) => operationStatus(operation, now));
  expect(at(1000)).toEqual(['scheduling', 'scheduling']);
  expect(at(1020)).toEqual(['running', 'scheduling']);
  expect(at(1070)).toEqual(['finished', 'running']);
  expect(at(1100)).toEqual(['finished', 'failed']);
  const project = new Store().create({}, 0);
  expect(busyUntil(project)).toBe(0);
  project.operations.push(...planned);
  expect(busyUntil(project)).toBe(1100);
});

describe('a compute', () => {
  const fresh = () => {
    const project = new Store().create({}, 0);
    const endpoint = writeEndpoint(project, defaultBranch(project).id);
    if (!endpoint) throw new Error('no endpoint');
    return { project, endpoint };
  };

  test('falls asleep five minutes after a client was last heard', () => {
    const { project, endpoint } = fresh();
    expect(computeState(endpoint, 0)).toBe('idle');
    startCompute(endpoint, 1_000);
    touchCompute(project, endpoint, 2_000);
    expect(project.computeLastActiveAt).toBe(2_000);
    expect(computeState(endpoint, 301_999)).toBe('active');
    expect(computeState(endpoint, 302_000)).toBe('idle');
    expect(suspendedAt(endpoint, 400_000)).toBe(302_000);
  });

  test('stays awake while somebody is connected, or for good', () => {
    const { endpoint } = fresh();
    startCompute(endpoint, 0);
    endpoint.connections = 1;
    expect(computeState(endpoint, 1e9)).toBe('active');
    endpoint.connections = 0;
    endpoint.suspendTimeoutSeconds = -1;
    expect(computeState(endpoint, 1e9)).toBe('active');
    suspendCompute(endpoint, 5);
    expect(computeState(endpoint, 6)).toBe('idle');
    expect(suspendedAt(endpoint, 6)).toBe(5);
  });
});

describe('the past of a branch', () => {
  test('positions in the log compare as numbers', () => {
    expect(parseLsn('0/FF')).toBe(255n);
    expect(parseLsn('1/0')).toBe(4_294_967_296n);
    expect(parseLsn('1/0') ?? 0n).toBeGreaterThan(parseLsn('0/FFFFFFFF') ?? 0n);
    for (const bad of ['', '1', '0/', 'x/1', '0/1/2', '0/123456789']) expect(parseLsn(bad)).toBeUndefined();
  });

  test('the newest state recorded by then is the one', () => {
    const branch = defaultBranch(new Store().create({}, 0));
    branch.states.push({ lsn: '0/10', at: 100, databases: [] }, { lsn: '0/A0', at: 200, databases: [] });
    expect(stateAt(branch, { lsn: '0/9F' })?.at).toBe(100);
    expect(stateAt(branch, { lsn: '0/A0' })?.at).toBe(200);
    expect(stateAt(branch, { lsn: '0/F' })).toBeUndefined();
    expect(stateAt(branch, { timestamp: new Date(150).toISOString() })?.at).toBe(100);
    expect(databasesAt(branch, {})?.map(({ name }) => name)).toEqual(['neondb']);
    expect(databasesAt(branch, { timestamp: new Date(50).toISOString() })).toBeUndefined();
  });
});

test('the rate limit fills up with time', () => {
  const limit = new RateLimit(60, 0);
  for (let count = 0; count < 60; count++) expect(limit.take(0)).toBe(0);
  expect(limit.take(0)).toBe(1);
  expect(limit.take(1_000)).toBe(0);
  expect(limit.take(1_000)).toBe(1);
  expect(limit.take(3_600_000)).toBe(0);
});

test('a page of projects starts after any position', () => {
  const store = new Store();
  for (let index = 0; index < 10; index++) store.create({ name: String(index) }, 0);
  const names = (after: number, limit = 3) =>
    store.after(after, limit, ({ name }) => name !== '5').map(({ name }) => name);
  expect(names(0)).toEqual(['0', '1', '2']);
  expect(names(4)).toEqual(['4', '6', '7']);
  expect(names(10)).toEqual([]);
  expect(names(99)).toEqual([]);
});
