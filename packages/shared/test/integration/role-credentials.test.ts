import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { openStore, roleCredentials } from '../../src/s3/index.js';

/** What stands in for AWS: hands out sessions for tokens, and lists a bucket for the session that is valid. */
class AwsStandIn {
  readonly tokens: string[] = [];
  readonly keysSeen: string[] = [];
  /** How long a session is said to live. */
  livesMs = 60 * 60 * 1_000;
  refuse = false;
  #sessions = 0;
  readonly server: Server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (text: string) => (body += text));
    request.on('end', () => {
      const form = new URLSearchParams(body);
      response.setHeader('content-type', 'text/xml');
      if (form.get('Action') !== 'AssumeRoleWithWebIdentity') {
        this.keysSeen.push(/Credential=([^/]+)/.exec(request.headers.authorization ?? '')?.[1] ?? '');
        response.end('<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>');
        return;
      }
      this.tokens.push(form.get('WebIdentityToken') ?? '');
      if (this.refuse) {
        response.statusCode = 403;
        response.end(
          '<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>Not authorized to perform sts:AssumeRoleWithWebIdentity</Message></Error></ErrorResponse>',
        );
        return;
      }
      this.#sessions += 1;
      const expiration = new Date(Date.now() + this.livesMs).toISOString();
      response.end(`<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>
        <AccessKeyId>SESSION${this.#sessions}</AccessKeyId><SecretAccessKey>secret-${this.#sessions}</SecretAccessKey>
        <SessionToken>session-${this.#sessions}</SessionToken><Expiration>${expiration}</Expiration></Credentials>
        </AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`);
    });
  });

  get endpoint(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }
}

let aws: AwsStandIn;
let minted: number;
let secrets: string[];
beforeEach(async () => {
  aws = new AwsStandIn();
  minted = 0;
  secrets = [];
  await new Promise<void>((resolve) => aws.server.listen(0, '127.0.0.1', resolve));
  process.env['AWS_ENDPOINT_URL_STS'] = aws.endpoint;
});
afterEach(async () => {
  Reflect.deleteProperty(process.env, 'AWS_ENDPOINT_URL_STS');
  aws.server.closeAllConnections();
  await new Promise((resolve) => aws.server.close(resolve));
});

function store(mintToken = () => Promise.resolve(`token-${(minted += 1)}`)) {
  const credentials = roleCredentials({
    roleArn: 'arn:aws:iam::123456789012:role/backup',
    sessionName: 'test',
    durationSeconds: 3_600,
    region: 'us-east-1',
    mintToken,
    onSecret: (secret) => void secrets.push(secret),
  });
  return openStore({
    bucket: 'b',
    region: 'us-east-1',
    endpoint: aws.endpoint,
    forcePathStyle: true,
    maxAttempts: 1,
    credentials,
  });
}

async function list(from: ReturnType<typeof store>): Promise<void> {
  for await (const page of from.list('')) expect(page).toEqual([]);
}

describe('credentials of a role', () => {
  test('are taken once and used until shortly before they end', async () => {
    const bucket = store();
    for (let turn = 0; turn < 3; turn += 1) await list(bucket);
    expect(aws.tokens).toEqual(['token-1']);
    expect(aws.keysSeen).toEqual(['SESSION1', 'SESSION1', 'SESSION1']);
    expect(secrets).toEqual(['token-1', 'secret-1', 'session-1']);
  });

  test('are taken anew, with a new token, before they end', async () => {
    aws.livesMs = 10_000;
    const bucket = store();
    await list(bucket);
    await list(bucket);
    aws.livesMs = 60 * 60 * 1_000;
    await list(bucket);
    await list(bucket);
    expect(new Set(aws.tokens).size).toBe(aws.tokens.length);
    expect(aws.tokens.length).toBeGreaterThan(1);
    expect(aws.keysSeen.at(-1)).toBe(`SESSION${aws.tokens.length}`);
  });

  test('that GitHub gives no token for are an error that names the permission', async () => {
    const bucket = store(() => Promise.reject(new Error('Unable to get ACTIONS_ID_TOKEN_REQUEST_URL env variable')));
    await expect(list(bucket)).rejects.toMatchObject({ hint: expect.stringContaining('id-token: write') });
  });

  test('that AWS refuses are an error that names the role and repeats no token', async () => {
    aws.refuse = true;
    const failure: unknown = await list(store()).catch((thrown: unknown) => thrown);
    expect(failure).toMatchObject({
      message: expect.stringMatching(/role\/backup could not be taken: .*Not authorized/),
    });
    expect(JSON.stringify(failure) + String(failure)).not.toContain('token-1');
  });
});
