import { inspect } from 'node:util';

import { describe, expect, test } from '@jest/globals';
import { DatabaseError } from 'pg';

import { ExplainedError } from '../../../src/errors/index.js';
import { PostgresError, postgresError, refusalOf, type Refusal } from '../../../src/postgres/index.js';

function databaseError(code: string, message: string): DatabaseError {
  const error = new DatabaseError(message, message.length, 'error');
  return Object.assign(error, {
    code,
    detail: 'Key (email)=(jane@customer.example) already exists.',
    where: 'COPY users, line 1: "jane@customer.example"',
    internalQuery: "SELECT 'jane@customer.example'",
    hint: 'the hint of the server about jane@customer.example',
  });
}

describe('what PostgreSQL says', () => {
  test('is told with where and what to do, and without the rows that it quotes', () => {
    const error = postgresError(databaseError('28P01', 'password authentication failed'), { doing: 'connecting to h' });
    expect(error).toBeInstanceOf(PostgresError);
    expect(error).toMatchObject({
      message: 'connecting to h: password authentication failed',
      code: 'SQLSTATE 28P01',
      sqlState: '28P01',
      hint: expect.stringContaining('password was refused'),
    });
    expect(inspect(error, { showHidden: true, depth: 9 }) + JSON.stringify(error)).not.toContain('jane');
  });

  test.each([
    ['22P02', 'invalid input syntax for type integer: "jane"', 'invalid input syntax for type integer'],
    ['22P02', 'invalid input value for enum mood: "jane "quoted""', 'invalid input value for enum mood'],
    ['22003', 'value "jane" is out of range for type integer', 'value  is out of range for type integer'],
    ['22001', 'value too long for type character varying(3)', 'value too long for type character varying(3)'],
    ['42P01', 'relation "users" does not exist', 'relation "users" does not exist'],
    ['23505', 'duplicate key violates "users_email_key"', 'duplicate key violates "users_email_key"'],
  ])('with %s, %s, names things and shows no values', (code, message, told) => {
    expect(postgresError(databaseError(code, message), { doing: 'on h' }).message).toBe(`on h: ${told}`);
  });

  test.each(['28000', '28P01', '3D000', '42501', '53300', '55P03', '55P04', '57014', '57P01', '25001'])(
    'with %s has a hint',
    (code) => {
      expect(postgresError(databaseError(code, 'x'), { doing: 'on h' })).toMatchObject({ hint: expect.any(String) });
    },
  );

  test('with any other code has none', () => {
    expect(postgresError(databaseError('42601', 'x'), { doing: 'on h' })).toMatchObject({ hint: undefined });
  });
});

describe('what the way there says', () => {
  test.each<[string | undefined, string, RegExp | undefined]>([
    ['ECONNREFUSED', 'connect ECONNREFUSED', /does not accept connections/],
    ['ECONNRESET', 'read ECONNRESET', /does not accept connections/],
    ['ENOTFOUND', 'getaddrinfo ENOTFOUND h', /host name is not known/],
    ['SELF_SIGNED_CERT_IN_CHAIN', 'self-signed certificate', /PGSSLROOTCERT/],
    ['ERR_TLS_CERT_ALTNAME_INVALID', 'wrong name', /PGSSLROOTCERT/],
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'unable to verify', /PGSSLROOTCERT/],
    [undefined, 'timeout expired', /cold start/],
    [undefined, 'something else', undefined],
  ])('%s, %s', (code, message, hint) => {
    const thrown = Object.assign(new Error(message), code === undefined ? {} : { code });
    expect(postgresError(thrown, { doing: 'connecting to h' })).toMatchObject({
      message: `connecting to h: ${message}`,
      code,
      sqlState: undefined,
      hint: hint === undefined ? undefined : expect.stringMatching(hint),
    });
  });

  test('over several addresses is one error', () => {
    const refused = Object.assign(new Error('connect ECONNREFUSED ::1'), { code: 'ECONNREFUSED' });
    const several = Object.assign(new AggregateError([refused, new Error('connect ECONNREFUSED 127.0.0.1')]), {
      code: 'ECONNREFUSED',
    });
    expect(postgresError(several, { doing: 'connecting' })).toMatchObject({
      message: 'connecting: connect ECONNREFUSED ::1: connect ECONNREFUSED 127.0.0.1',
      code: 'ECONNREFUSED',
    });
  });

  test('that explains itself already is left as it is', () => {
    const error = new ExplainedError({ message: 'x' });
    expect(postgresError(error, { doing: 'connecting' })).toBe(error);
  });
});

describe('a refusal of Neon’s proxy', () => {
  const QUOTA = 'Your account or project has exceeded the compute time quota.';
  const refused = (message: string) => postgresError(databaseError('XX000', message), { doing: 'connecting to h' });

  test.each<[string, Refusal | undefined]>([
    [QUOTA, 'quota'],
    ['Your project has exceeded the data transfer quota. Upgrade your plan to increase limits.', 'quota'],
    ['no such quota', undefined],
    [
      'This IP address 203.0.113.7 is not allowed to connect to this endpoint. Please add it to the allowed list in the Neon console. Make sure to check for IPv4 or IPv6 addresses.',
      'address',
    ],
    [
      'This IP address is not allowed to connect to this endpoint. Please add it to the allowed list in the Neon console.',
      'address',
    ],
    ['This connection is trying to access this endpoint from a blocked network.', 'address'],
    ['This VPC endpoint id vpce-1 is not allowed to connect to this endpoint.', 'address'],
    ['VPC endpoint ID is not specified. This endpoint requires a VPC endpoint ID to connect.', 'address'],
    ['The requested endpoint could not be found, or you do not have access to it.', 'gone'],
    ['Control plane request failed: endpoint cannot be found', 'gone'],
    ['project already has running operations, scheduling of new ones is prohibited', 'creating'],
    ['project already has running conflicting operations, scheduling of new ones is prohibited', 'creating'],
    ['The endpoint has been disabled. Enable it using Neon API and retry.', undefined],
    ['Too many connections to this endpoint. Please try again later.', undefined],
    ["password authentication failed for user 'neondb_owner'", undefined],
    ['Control plane request failed', undefined],
  ])('%s: %s', (message, refusal) => {
    const error = refused(message);
    expect(refusalOf(error)).toBe(refusal);
    expect(error).toMatchObject({ hint: refusal === undefined ? undefined : expect.any(String) });
  });

  test('is not taken for one once connected: a function of the customer’s may say so', () => {
    const error = postgresError(databaseError('P0001', QUOTA));
    expect(refusalOf(error)).toBeUndefined();
    expect(error).toMatchObject({ hint: undefined });
  });

  test('is the proxy’s only, not anybody’s who says the same', () => {
    expect(refusalOf(new Error(QUOTA))).toBeUndefined();
  });
});
