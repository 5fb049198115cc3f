import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { Readable } from 'node:stream';
import {
  AbortMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { startLocalNeon, type LocalNeon } from '../../src/index.js';

describe('the S3 server', () => {
  let neon: LocalNeon;
  let client: S3Client;
  let Bucket: string;
  const credentials = () => ({ accessKeyId: neon.s3.accessKeyId, secretAccessKey: neon.s3.secretAccessKey });
  const connect = (keys = credentials()) =>
    new S3Client({ endpoint: neon.s3.endpoint, region: neon.s3.region, forcePathStyle: true, credentials: keys });
  beforeAll(async () => {
    neon = await startLocalNeon();
    client = connect();
    Bucket = neon.s3.bucket;
  });
  afterAll(async () => {
    client.destroy();
    await neon.stop();
  });

  const read = async (Key: string) =>
    Buffer.from((await (await client.send(new GetObjectCommand({ Bucket, Key }))).Body?.transformToByteArray()) ?? []);

  test('keeps what it is given, listed and on disk', async () => {
    await client.send(new PutObjectCommand({ Bucket, Key: 'a/1', Body: 'one' }));
    await client.send(new PutObjectCommand({ Bucket, Key: 'b/2', Body: 'two' }));
    expect((await read('a/1')).toString()).toBe('one');
    const { Contents } = await client.send(new ListObjectsV2Command({ Bucket, Prefix: 'a/' }));
    expect(Contents?.map(({ Key }) => Key)).toEqual(['a/1']);
    expect(readdirSync(neon.s3.directory)).toEqual([Bucket]);
    await client.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects: [{ Key: 'b/2' }] } }));
    await expect(read('b/2')).rejects.toMatchObject({ name: 'NoSuchKey' });
  });

  test('takes streams, in one part and in several', async () => {
    await client.send(
      new PutObjectCommand({
        Bucket,
        Key: 'stream',
        Body: Readable.from([Buffer.from('from a stream')]),
        ContentLength: 13,
      }),
    );
    expect((await read('stream')).toString()).toBe('from a stream');
    const big = randomBytes(11 * 1024 * 1024 + 7);
    await new Upload({
      client,
      params: { Bucket, Key: 'big', Body: Readable.from([big.subarray(0, 3_000_000), big.subarray(3_000_000)]) },
    }).done();
    expect((await read('big')).equals(big)).toBe(true);
  });

  test('does not overwrite when told not to', async () => {
    const put = () => client.send(new PutObjectCommand({ Bucket, Key: 'once', Body: 'x', IfNoneMatch: '*' }));
    await put();
    await expect(put()).rejects.toMatchObject({ name: 'PreconditionFailed', $metadata: { httpStatusCode: 412 } });
  });

  test('lists uploads that were never completed', async () => {
    const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key: 'tenants/x&y' }));
    const list = async (Prefix: string) =>
      (await client.send(new ListMultipartUploadsCommand({ Bucket, Prefix }))).Uploads;
    expect(await list('tenants/')).toMatchObject([{ Key: 'tenants/x&y', UploadId }]);
    expect(await list('other/')).toBeUndefined();
    await client.send(new AbortMultipartUploadCommand({ Bucket, Key: 'tenants/x&y', UploadId }));
    expect(await list('')).toBeUndefined();
  });

  test('does not know other keys', async () => {
    const stranger = connect({ accessKeyId: 'S3RVER', secretAccessKey: 'S3RVER' });
    await expect(stranger.send(new ListObjectsV2Command({ Bucket }))).rejects.toMatchObject({
      name: 'InvalidAccessKeyId',
    });
    stranger.destroy();
  });
});
