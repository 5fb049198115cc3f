import { readCommand, usage } from './cli-options.js';
import { startLocalNeon, type LocalNeon } from './index.js';
import { whenNpmIsGone } from './supervisor/parent.js';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Runs the stand-in until a signal asks it to stop. @returns exit status: 0, 1 when it did not start, 2 for a bad command line */
export async function main(args: readonly string[]): Promise<number> {
  const command = readCommand(args);
  if (command.kind === 'help') {
    process.stdout.write(usage);
    return 0;
  }
  if (command.kind === 'wrong') {
    process.stderr.write(`${command.problems.map((problem) => `local-neon: ${problem}`).join('\n')}\n\n${usage}`);
    return 2;
  }
  // Listening from the start, and for good: a second signal, or one during start-up, must not cut the clean-up short.
  const asked = new Promise<void>((resolve) => {
    SIGNALS.forEach((signal) => process.on(signal, () => resolve()));
    whenNpmIsGone(resolve);
  });
  const log = (line: string) => void process.stderr.write(`${line}\n`);
  let neon: LocalNeon;
  try {
    neon = await startLocalNeon({ ...command.options, log: command.json ? quietly(log) : log });
  } catch (error) {
    log(`local-neon did not start: ${error instanceof Error ? error.message : String(error)}`);
    return 1;
  }
  const s3 = command.options.s3 !== false;
  process.stdout.write(command.json ? `${JSON.stringify(facts(neon, s3))}\n` : explanation(neon, s3));
  await asked;
  if (!command.json) log('local-neon: stopping');
  await neon.stop();
  return 0;
}

/** Programs want to hear of trouble only. */
const quietly = (log: (line: string) => void) => (line: string) => {
  if (line.startsWith('local-neon: ')) log(line);
};

function facts(neon: LocalNeon, s3: boolean) {
  const { apiUrl, apiKey, orgId, postgresUrl, caFile } = neon;
  if (!s3) return { apiUrl, apiKey, orgId, postgresUrl, caFile };
  const { endpoint, bucket, accessKeyId, secretAccessKey, region } = neon.s3;
  return {
    apiUrl,
    apiKey,
    orgId,
    postgresUrl,
    caFile,
    s3Endpoint: endpoint,
    s3Bucket: bucket,
    s3Region: region,
    accessKeyId,
    secretAccessKey,
  };
}

function explanation(neon: LocalNeon, s3: boolean): string {
  const storage = s3
    ? `  S3            ${neon.s3.endpoint}  bucket ${neon.s3.bucket}  region ${neon.s3.region}  (path-style)
                AWS_ACCESS_KEY_ID=${neon.s3.accessKeyId} AWS_SECRET_ACCESS_KEY=${neon.s3.secretAccessKey}
`
    : '';
  return `local-neon is ready. Nothing of it survives when it stops.

  API           ${neon.apiUrl}
  API key       ${neon.apiKey}
  PostgreSQL    ${neon.postgresUrl}  (superuser, for looking around)
  certificates  ${neon.caFile}  (authority that signed the endpoints')
${storage}
Give the actions these inputs:

  neon-api-url: ${neon.apiUrl}
  neon-api-key: ${neon.apiKey}

and let clients trust the endpoints:

  export NODE_EXTRA_CA_CERTS=${neon.caFile} PGSSLROOTCERT=${neon.caFile}

Try it:

  curl -H 'Authorization: Bearer ${neon.apiKey}' '${neon.apiUrl}/projects?limit=3'

Ctrl-C stops it and cleans up.
`;
}
