// The whole job on one machine: provision, migrate, back up and restore a fleet with the bundled actions, against a local
// Neon, a real PostgreSQL and an S3 server.
import { once } from 'node:events';
import { cp, mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { GetObjectCommand, ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3';
import { startLocalNeon, whenNpmIsGone, type LocalNeon } from '@neon-fleet/local-neon';

import { ROOT } from '../actions.js';
import { parseDemoOptions, type DemoOptions } from './options.js';
import { digestTables, insertRows } from './rows.js';
import { addSecondMigration, Job } from './steps.js';

const FOLDER = path.join(ROOT, '.neon-fleet', 'demo');
const folders = {
  app: path.join(FOLDER, 'app'),
  summaries: path.join(FOLDER, 'summaries'),
  backups: path.join(FOLDER, 'backups'),
};

async function play(neon: LocalNeon, job: Job, { tenants }: DemoOptions, signal: AbortSignal): Promise<void> {
  const s3Inputs = {
    's3-bucket': neon.s3.bucket,
    's3-endpoint': neon.s3.endpoint,
    's3-force-path-style': 'true',
    'aws-region': neon.s3.region,
  };
  const names = tenants.join('\n');

  const provisioned = await job.step(`Provision ${tenants.length} tenants`, 'provision', { name: names });
  const projects = parseProjects(provisioned.outputs['projects'] ?? '');
  await job.step('Migrate all of them', 'migrate', { tenants: '*' });

  console.log('\n● Add a second migration with drizzle-kit generate');
  await addSecondMigration(folders.app, signal);
  await job.step('Migrate again: only the new migration is applied', 'migrate', { tenants: '*' });

  console.log('\n● Put some rows in');
  for (const { name, projectId } of projects) await insertRows(await neon.adminUrlFor(projectId), name);

  await job.step('Back all of them up to S3', 'backup', { tenants: '*', ...s3Inputs });
  await downloadBackups(neon);

  const [original] = projects;
  if (original === undefined) throw new Error('no project was provisioned');
  const restoredName = `${original.name} (restored)`;
  const fresh = await job.step('Make a fresh project to restore into', 'provision', { name: restoredName });
  await job.step(`Restore ${original.name} into it, from S3 alone`, 'backup', {
    command: 'restore',
    tenant: original.projectId,
    backup: 'latest',
    'target-url': fresh.outputs['connection-uri'] ?? '',
    'neon-api-key': '',
    ...s3Inputs,
  });

  await compare(neon, original, { name: restoredName, projectId: fresh.outputs['project-id'] ?? '' });
}

interface NamedProject {
  readonly name: string;
  readonly projectId: string;
}

function parseProjects(json: string): NamedProject[] {
  return JSON.parse(json) as NamedProject[];
}

async function compare(neon: LocalNeon, original: NamedProject, restored: NamedProject): Promise<void> {
  console.log(`\n● Compare ${original.name} (${original.projectId}) with ${restored.name} (${restored.projectId})`);
  const before = await digestTables(await neon.adminUrlFor(original.projectId));
  const after = await digestTables(await neon.adminUrlFor(restored.projectId));
  const different = before.filter(({ digest }, index) => digest !== after[index]?.digest);
  for (const [index, { table, rows, digest }] of before.entries()) {
    const same = digest === after[index]?.digest;
    console.log(`  ${table.padEnd(10)}${String(rows).padStart(6)} rows  ${digest}  ${same ? 'equal' : 'DIFFERENT'}`);
  }
  if (different.length > 0)
    throw new Error(`the restored rows differ: ${different.map(({ table }) => table).join(', ')}`);
}

async function downloadBackups({ s3 }: LocalNeon): Promise<void> {
  const client = new S3Client({
    endpoint: s3.endpoint,
    region: s3.region,
    forcePathStyle: true,
    credentials: { accessKeyId: s3.accessKeyId, secretAccessKey: s3.secretAccessKey },
  });
  const { Contents: objects = [] } = await client.send(new ListObjectsV2Command({ Bucket: s3.bucket }));
  for (const { Key: key } of objects) {
    if (key === undefined) continue;
    const { Body: body } = await client.send(new GetObjectCommand({ Bucket: s3.bucket, Key: key }));
    const file = path.join(folders.backups, ...key.split('/'));
    await mkdir(path.dirname(file), { recursive: true });
    if (body !== undefined) await writeFile(file, await body.transformToByteArray());
  }
  client.destroy();
}

async function main(): Promise<void> {
  // What matters is the Node of a runner, which the actions are told of in the same way.
  process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] = 'true';
  const options = parseDemoOptions(process.argv.slice(2));
  const startedAtMs = performance.now();
  await rm(FOLDER, { recursive: true, force: true });
  await cp(path.join(ROOT, 'examples', 'app'), folders.app, { recursive: true });

  console.log('● Start a local Neon API, a PostgreSQL and an S3 server on loopback');
  // Asked to stop while the servers come up: they are stopped as soon as they are there.
  const interruption = new AbortController();
  const interrupted = once(interruption.signal, 'abort').then(() => 'interrupted' as const);
  // Not once: a terminal signals the whole group, and what started this may pass the same signal on.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => interruption.abort());
  whenNpmIsGone(() => interruption.abort());

  const neon = await startLocalNeon();
  const job = new Job(neon, folders, options.verbose);
  try {
    console.log(`  Neon API ${neon.apiUrl}\n  S3       ${neon.s3.endpoint}`);
    if ((await Promise.race([play(neon, job, options, interruption.signal), interrupted])) === 'interrupted') {
      console.log('\nInterrupted; stopping everything.');
      await job.cancel();
      process.exitCode = 130;
    } else {
      console.log(`\n● Job summaries\n${job.summaries.join('\n')}`);
      console.log(`\n  as on GitHub:  ${path.relative(process.cwd(), folders.summaries)}/*.md`);
      console.log(`  backups:       ${path.relative(process.cwd(), folders.backups)}/`);
    }
  } finally {
    await neon.stop();
  }
  const seconds = ((performance.now() - startedAtMs) / 1_000).toFixed(1);
  console.log(`\nEverything that was started is stopped. ${seconds} s`);
}

await main();
// An interrupted step may still have timers of its own.
process.exit();
