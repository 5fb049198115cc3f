import { explain, ExplainedError, systemCode } from '../errors/index.js';

/** A request to S3 that failed for good, without headers, signed addresses and key ids. */
export class S3Error extends ExplainedError {
  /** S3's own name of the failure, such as `NoSuchBucket`; absent when no answer arrived. */
  readonly reason?: string;
  /** HTTP status; absent when no answer arrived. */
  readonly status?: number;

  constructor(failure: S3Failure, doing: string, options?: ErrorOptions) {
    const code = codeOf(failure);
    const hint = hintFor(failure);
    super(
      {
        message: `S3, ${doing}: ${withoutKeyIds(failure.message)}`,
        ...(code === undefined ? {} : { code }),
        ...(hint === undefined ? {} : { hint }),
      },
      options,
    );
    this.name = 'S3Error';
    if (failure.reason !== undefined) this.reason = failure.reason;
    if (failure.status !== undefined) this.status = failure.status;
  }
}

export interface S3Failure {
  readonly message: string;
  readonly reason?: string;
  readonly status?: number;
  readonly systemCode?: string;
}

/** Turns what the AWS SDK throws into an error that may be printed. */
export function s3Error(thrown: unknown, doing: string): ExplainedError {
  return thrown instanceof ExplainedError ? thrown : new S3Error(failureOf(thrown), doing);
}

/** Whether a failure says that there is no such object. */
export function isNotFound(thrown: unknown): boolean {
  return thrown instanceof S3Error && thrown.status === 404 && thrown.reason !== 'NoSuchBucket';
}

/** Whether a conditional write found something in its place. */
export function isTaken(thrown: unknown): boolean {
  return thrown instanceof S3Error && (thrown.status === 412 || thrown.reason === 'ConditionalRequestConflict');
}

/** Whether a store says that it does not know this kind of request at all. */
export function isNotImplemented(thrown: unknown): boolean {
  return thrown instanceof S3Error && (thrown.status === 501 || thrown.status === 405);
}

/** Failures that every request of this run would meet again: there is no use in starting. */
const HOPELESS = new Set([
  'AuthorizationHeaderMalformed',
  'CredentialsProviderError',
  'ExpiredToken',
  'InvalidAccessKeyId',
  'InvalidToken',
  'NoSuchBucket',
  'PermanentRedirect',
  'SignatureDoesNotMatch',
]);

/** Whether a failure is one of the set-up (bucket, region, credentials) rather than of one request. */
export function isHopeless(thrown: unknown): boolean {
  if (!(thrown instanceof S3Error)) return false;
  return thrown.status === undefined || thrown.status === 301 || HOPELESS.has(thrown.reason ?? '');
}

function failureOf(thrown: unknown): S3Failure {
  const { message } = explain(thrown);
  const reason = thrown instanceof Error ? thrown.name : undefined;
  const status = statusOf(thrown);
  const system = systemCode(thrown);
  return {
    // For an answer without a body (HEAD) the SDK has no better message than its own name for it.
    message: message === '' || message === 'UnknownError' ? 'refused without a reason' : message,
    ...(reason === undefined || reason === 'Error' ? {} : { reason }),
    ...(status === undefined ? {} : { status }),
    ...(system === undefined ? {} : { systemCode: system }),
  };
}

function statusOf(thrown: unknown): number | undefined {
  const metadata: unknown =
    typeof thrown === 'object' && thrown !== null ? Reflect.get(thrown, '$metadata') : undefined;
  if (typeof metadata !== 'object' || metadata === null || !('httpStatusCode' in metadata)) return undefined;
  return typeof metadata.httpStatusCode === 'number' ? metadata.httpStatusCode : undefined;
}

/** How often the SDK sent a request before it gave its answer or gave up; 1 when it does not say. */
export function attemptsOf(answerOrThrown: unknown): number {
  const metadata: unknown =
    typeof answerOrThrown === 'object' && answerOrThrown !== null
      ? Reflect.get(answerOrThrown, '$metadata')
      : undefined;
  if (typeof metadata !== 'object' || metadata === null || !('attempts' in metadata)) return 1;
  return typeof metadata.attempts === 'number' ? metadata.attempts : 1;
}

function codeOf({ reason, status, systemCode: system }: S3Failure): string | undefined {
  if (status !== undefined) return reason === undefined ? `HTTP ${status}` : `${reason}, HTTP ${status}`;
  return system ?? reason;
}

function withoutKeyIds(message: string): string {
  return message.replace(/\bA(KIA|SIA|ROA|IDA)[A-Z0-9]{12,}\b/g, 'A$1***').replace(/\?\S*X-Amz-\S*/gi, '?***');
}

const HINTS: Readonly<Record<string, string>> = {
  AccessDenied:
    'The credentials may not do this. The role needs s3:PutObject, s3:GetObject, s3:AbortMultipartUpload and s3:ListMultipartUploadParts on the objects, s3:ListBucket and s3:ListBucketMultipartUploads on the bucket, and s3:DeleteObject for retention.',
  AuthorizationHeaderMalformed: 'The bucket is in another region: set aws-region to its own.',
  CredentialsProviderError:
    'No AWS credentials were found. Run aws-actions/configure-aws-credentials before this step (with permissions: id-token: write), or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.',
  ExpiredToken: 'The AWS credentials have expired. Raise role-duration-seconds, or back up fewer tenants in one job.',
  InvalidAccessKeyId: 'The access key is not known: it may be deleted, or belong to another provider (s3-endpoint).',
  NoSuchBucket: 'There is no such bucket. Check s3-bucket, and aws-region or s3-endpoint.',
  PermanentRedirect: 'The bucket is in another region: set aws-region to its own.',
  SignatureDoesNotMatch: 'The secret access key does not fit the access key, or a proxy changed the request.',
  SlowDown: 'The store asks for fewer requests. Lower the concurrency, or run again later.',
};

function hintFor({ reason, status, message }: S3Failure): string | undefined {
  if (/region is missing/i.test(message)) return 'Set the input aws-region.';
  const known = HINTS[reason ?? ''];
  if (known !== undefined) return known;
  switch (status) {
    case undefined:
      return 'No answer from the store. Check s3-endpoint, aws-region and the network of this runner, then run again.';
    case 301:
      return HINTS['PermanentRedirect'];
    case 403:
      return HINTS['AccessDenied'];
    default:
      return status >= 500 ? 'The store had a problem that outlasted the retries. Run again.' : undefined;
  }
}
