// The S3 server of one stand-in, in a process of its own.
// usage: node server.js DIRECTORY BUCKET, with ACCESS_KEY_ID and SECRET_ACCESS_KEY in the environment
// Prints {"port": …} when it listens.
import { createRequire } from 'node:module';
import http from 'node:http';

const require = createRequire(import.meta.url);
const S3rver = require('s3rver');
const { DUMMY_ACCOUNT } = require('s3rver/lib/models/account');

const [directory, bucket] = process.argv.slice(2);
DUMMY_ACCOUNT.revokeAccessKey('S3RVER');
DUMMY_ACCOUNT.createKeyPair(process.env.ACCESS_KEY_ID, process.env.SECRET_ACCESS_KEY);

const app = new S3rver({ directory, silent: true, vhostBuckets: false, configureBuckets: [{ name: bucket }] });
await app.configureBuckets();
const server = http.createServer(app.callback());
server.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ port: server.address().port })));
process.on('uncaughtException', (error) => console.error(error)); // one bad request must not end the server
