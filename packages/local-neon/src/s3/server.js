// The S3 server of one stand-in, in a process of its own: s3rver, and what today's clients need beyond it.
// usage: node server.js DIRECTORY BUCKET, with ACCESS_KEY_ID and SECRET_ACCESS_KEY in the environment
// Prints {"port": …} when it listens.
import { createRequire } from 'node:module';
import http from 'node:http';
import { Readable } from 'node:stream';
import { AwsChunkedDecoder } from './aws-chunked.js';
import { abortUpload, listUploads } from './uploads.js';
import { answerWhenWritten } from './whole-writes.js';

const require = createRequire(import.meta.url);
const S3rver = require('s3rver');
const { DUMMY_ACCOUNT } = require('s3rver/lib/models/account');

const [directory, bucket] = process.argv.slice(2);
const { ACCESS_KEY_ID, SECRET_ACCESS_KEY } = process.env;
DUMMY_ACCOUNT.revokeAccessKey('S3RVER');
DUMMY_ACCOUNT.createKeyPair(ACCESS_KEY_ID, SECRET_ACCESS_KEY);

const app = new S3rver({ directory, silent: true, vhostBuckets: false, configureBuckets: [{ name: bucket }] });
await app.configureBuckets();
answerWhenWritten(app.store);
const s3rver = app.callback();

const server = http.createServer((request, response) => {
  serve(request, response).catch((error) => {
    console.error(error);
    response.destroy();
  });
});
server.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ port: server.address().port })));
process.on('uncaughtException', (error) => console.error(error)); // one bad request must not end the server

async function serve(request, response) {
  const url = new URL(request.url, 'http://localhost');
  const [name, ...rest] = url.pathname.slice(1).split('/');
  const key = decodeURIComponent(rest.join('/'));
  if (request.method === 'GET' && key === '' && url.searchParams.has('uploads') && isOurs(request)) {
    const uploads = app.store.getResourcePath(name, undefined, 'uploads');
    response.setHeader('content-type', 'application/xml');
    response.end(await listUploads(uploads, name, url.searchParams));
    return;
  }
  const uploadId = url.searchParams.get('uploadId');
  if (request.method === 'DELETE' && uploadId !== null && isOurs(request)) {
    const known = await abortUpload(app.store.getResourcePath(name, undefined, 'uploads'), uploadId);
    if (known) response.writeHead(204).end();
    else refuse(response, 404, 'NoSuchUpload', 'The specified upload does not exist.');
    return;
  }
  if (commits(request, url) && request.headers['if-none-match'] === '*' && (await app.store.existsObject(name, key))) {
    request.resume();
    request.once('end', () => refuse(response, 412, 'PreconditionFailed', 'The condition If-None-Match did not hold'));
    return;
  }
  if (String(request.headers['x-amz-content-sha256']).startsWith('STREAMING-')) {
    // s3rver would keep the framing as if it were content. It reads bodies with pipe() only.
    request.pipe = (target) => Readable.prototype.pipe.call(request, new AwsChunkedDecoder()).pipe(target);
  }
  await s3rver(request, response);
}

/** Whether a request makes an object, so that its preconditions are to be looked at. */
function commits(request, url) {
  if (request.method === 'PUT') return !url.searchParams.has('partNumber') && !url.searchParams.has('tagging');
  return request.method === 'POST' && url.searchParams.has('uploadId');
}

const isOurs = (request) => String(request.headers.authorization).includes(`Credential=${ACCESS_KEY_ID}/`);

function refuse(response, status, code, message) {
  response.writeHead(status, { 'content-type': 'application/xml' });
  response.end(
    `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${message}</Message></Error>`,
  );
}
