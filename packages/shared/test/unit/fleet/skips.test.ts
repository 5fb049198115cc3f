import { describe, expect, test } from '@jest/globals';
import { DatabaseError } from 'pg';

import { ExplainedError } from '../../../src/errors/index.js';
import { foreseenSkip, skipFor, type SkipReason } from '../../../src/fleet/index.js';
import { NeonApiError, StillCreatingError } from '../../../src/neon/index.js';
import { postgresError } from '../../../src/postgres/index.js';
import { project } from '../../support/builders.js';

const refused = (message: string, doing?: string) =>
  postgresError(
    Object.assign(new DatabaseError(message, 1, 'error'), { code: 'XX000' }),
    doing === undefined ? {} : { doing },
  );
const connecting = (message: string) => refused(message, 'connecting to ep-x.neon.tech:5432/neondb');

function answered(
  status: number | undefined,
  more: { operation?: string; message?: string | null; quota?: true } = {},
) {
  return new NeonApiError(more.operation ?? 'getConnectionUri', {
    answerLost: status === undefined,
    ...(status === undefined ? {} : { status }),
    ...(more.message === null ? {} : { message: more.message ?? 'not found' }),
    ...(more.quota === undefined ? {} : { quotaExceeded: true }),
  });
}

describe('a failure that says something about the tenant', () => {
  test.each<[string, unknown, SkipReason]>([
    [
      'a used-up quota, from the proxy',
      connecting('Your project has exceeded the compute time quota.'),
      'quota-suspended',
    ],
    ['a used-up quota, from the API', answered(423, { quota: true }), 'quota-suspended'],
    [
      'an address that is not let in',
      connecting('This IP address 1.2.3.4 is not allowed to connect to this endpoint.'),
      'ip-restricted',
    ],
    [
      'a blocked network',
      connecting('This connection is trying to access this endpoint from a blocked network.'),
      'ip-restricted',
    ],
    ['a project that is not there', answered(404), 'gone'],
    ['a project that was deleted', answered(410), 'gone'],
    [
      'an endpoint that is not there',
      connecting('The requested endpoint could not be found, or you do not have access to it.'),
      'gone',
    ],
    [
      'a project that works on itself',
      connecting('project already has running operations, scheduling of new ones is prohibited'),
      'creating',
    ],
    ['a branch that is being made', new StillCreatingError('p-1', 'the default branch'), 'creating'],
  ])('skips it: %s', (_, thrown, reason) => {
    const skip = skipFor(thrown);
    expect(skip).toMatchObject({ status: 'skipped', reason, error: { message: (thrown as Error).message } });
    // In a report these are words for people, not traces of a program.
    expect(JSON.stringify(skip)).not.toMatch(/\bat .+:\d+/);
  });

  test.each<[string, unknown]>([
    ['another answer of the API', answered(500)],
    ['no answer', answered(undefined)],
    ['a lock', answered(423)],
    ['a 404 of something in between', answered(404, { message: null })],
    ['a 404 about the account', answered(404, { operation: 'listProjects' })],
    ['a limit on the number of projects', answered(422, { operation: 'createProject', quota: true })],
    ['a password', connecting('password authentication failed')],
    ['words of a migration', refused('This IP address 1.2.3.4 is not allowed to connect to this endpoint.')],
    ['an error with a hint', new ExplainedError({ message: 'no such database' })],
    ['anything else', new Error('exceeded quota')],
    ['no error at all', 'exceeded quota'],
  ])('is not: %s', (_, thrown) => {
    expect(skipFor(thrown)).toBeUndefined();
  });
});

describe('what the list tells beforehand', () => {
  test.each<[string, Parameters<typeof foreseenSkip>, SkipReason | undefined]>([
    ['an ordinary project', [project()], undefined],
    ['one that lets nobody in from outside', [project({ blocksPublicConnections: true })], 'ip-restricted'],
    [
      'the same, seen from what may be inside',
      [project({ blocksPublicConnections: true }), { mayBePrivate: true }],
      undefined,
    ],
    [
      'one that lets nobody in at all',
      [project({ blocksPublicConnections: true, blocksVpcConnections: true }), { mayBePrivate: true }],
      'ip-restricted',
    ],
    ['one without a way through a VPC', [project({ blocksVpcConnections: true })], undefined],
    // Whether this runner is among them shows when it tries.
    ['one that lets some addresses in', [project({ allowedIps: ['203.0.113.7'] })], undefined],
    ['a deleted one', [project({ deletedAt: '2026-11-02T03:04:05Z' })], 'gone'],
    ['one that nobody has used yet', [project({ createdAt: new Date().toISOString() })], undefined],
  ])('%s', (_, given, reason) => {
    const skip = foreseenSkip(...given);
    if (reason === undefined) expect(skip).toBeUndefined();
    else expect(skip).toMatchObject({ status: 'skipped', reason, detail: expect.any(String) });
  });
});
