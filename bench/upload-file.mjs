// node upload-file.mjs FILE KEY, with the bucket in the environment: the guide's second step, a file to S3.
import { createReadStream } from 'node:fs';

import { S3Client } from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';

const [file, key] = process.argv.slice(2);
const { S3_BUCKET, S3_ENDPOINT, AWS_REGION } = process.env;
const client = new S3Client({ endpoint: S3_ENDPOINT, region: AWS_REGION, forcePathStyle: true });
await new Upload({
  client,
  params: { Bucket: S3_BUCKET, Key: key, Body: createReadStream(file) },
  queueSize: 10, // as the AWS command line does it
  partSize: 8 * 1024 * 1024,
}).done();
