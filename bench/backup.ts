import { readFile } from 'node:fs/promises';
import path from 'node:path';

import { startLocalNeon, type LocalNeon } from '@neon-fleet/local-neon';
import { startAction, type FinishedAction } from '@neon-fleet/local-runner';
import { createApiClient } from '@neondatabase/api-client';
import pg from 'pg';

import { ROOT } from '../scripts/actions.js';
import { hasPackagedNode24, node24 } from '../test/support/node24.js';
import { measured, median, runGroups, type Measurement } from './measurement.js';
import { runProcess, watchMemory } from './process.js';

const MIB = 1024 * 1024;
const GB = 1e9;
const ROUNDS = 3;
/** As everybody dumps who means to restore elsewhere. */
const PG_DUMP = 'pg_dump --no-owner --no-privileges';

/** Measures the backup action; `only` narrows it to the named groups. */
export function bench(only: readonly string[]): Promise<void> {
  return runGroups('backup', { large, memory, fleet }, only);
}

/** One database whose dump has 500 MB of text, JSON and numbers: backup and restore. */
async function large(folder: string): Promise<Measurement[]> {
  await using neon = await startLocalNeon();
  const [id = ''] = await neon.seedProjects(['large']);
  await fill(neon, id, 0.5);
  const uri = await uriOf(neon, id);
  const env = libpqOf(neon, uri);
  const file = path.join(folder, 'guide.sql.gz');
  const oursMs: number[] = [];
  const zstdMs: number[] = [];
  const guideMs: number[] = [];
  const floorMs: number[] = [];
  const written: number[] = [];
  for (let round = 1; round <= ROUNDS; round += 1) {
    // In turns, so that a slow moment of the machine meets all sides.
    const floor = await shell(`${PG_DUMP} > /dev/null`, env);
    floorMs.push(floor);
    const ours = await backUp(neon, { tenants: 'large' });
    oursMs.push(ours.durationMs);
    written.push(ours.writtenBytes);
    const zstd = hasPackagedNode24 ? await backUp(neon, { tenants: 'large', compression: 'zstd' }) : undefined;
    if (zstd !== undefined) zstdMs.push(zstd.durationMs);
    const dumped = await shell(`${PG_DUMP} | gzip > '${file}'`, env);
    const uploaded = await upload(neon, file, `guide-${round}.sql.gz`);
    guideMs.push(dumped + uploaded);
    say(`round ${round}`, { ours: ours.durationMs, zstd: zstd?.durationMs, floor, guide: dumped + uploaded });
  }
  // The newest backup is to be of the kind that the other side's file is of.
  await backUp(neon, { tenants: 'large' });
  const restores = await restoreLarge(neon, id, file);
  const ofZstd =
    zstdMs.length === 0
      ? []
      : [
          measured(
            'backup-500mb-zstd-vs-floor',
            '500 MB with compression: zstd: backup ÷ pg_dump > /dev/null',
            median(ratios(zstdMs, floorMs)),
            '×',
            { at: 'most', bound: 1.4 },
          ),
        ];
  return [
    measured(
      'backup-500mb-vs-guide',
      '500 MB: pg_dump | gzip > file, then upload ÷ backup',
      median(ratios(guideMs, oursMs)),
      '×',
      { at: 'least', bound: 2.5 },
    ),
    measured('backup-500mb-vs-floor', '500 MB: backup ÷ pg_dump > /dev/null', median(ratios(oursMs, floorMs)), '×', {
      at: 'most',
      bound: 1.4,
    }),
    ...ofZstd,
    measured('backup-disk', 'disk written by the job', Math.max(...written) / MIB, 'MiB', { at: 'most', bound: 0.1 }),
    ...restores,
  ];
}

async function restoreLarge(neon: LocalNeon, id: string, file: string): Promise<Measurement[]> {
  const oursMs: number[] = [];
  const plainMs: number[] = [];
  for (let round = 1; round <= ROUNDS; round += 1) {
    const [ours = '', plain = ''] = await neon.seedProjects([`ours ${round}`, `plain ${round}`]);
    const restored = await step(neon, {
      command: 'restore',
      tenant: id,
      backup: 'latest',
      'target-url': await uriOf(neon, ours),
      'restore-roles': 'false',
    });
    oursMs.push(restored.durationMs);
    const plainRestore = `gunzip -c '${file}' | psql --quiet --no-psqlrc --set ON_ERROR_STOP=1 > /dev/null`;
    plainMs.push(await shell(plainRestore, libpqOf(neon, await uriOf(neon, plain))));
    say(`restore ${round}`, { ours: oursMs.at(-1), plain: plainMs.at(-1) });
  }
  return [
    measured('restore-500mb-vs-psql', '500 MB: restore ÷ gunzip -c file | psql', median(ratios(oursMs, plainMs)), '×', {
      at: 'most',
      bound: 1.15,
    }),
  ];
}

/** Whether memory grows with the size of a dump. */
async function memory(): Promise<Measurement[]> {
  await using neon = await startLocalNeon();
  const peaks: number[] = [];
  for (const gigabytes of [0.5, 4]) {
    const name = `memory ${gigabytes}`;
    const [id = ''] = await neon.seedProjects([name]);
    await fill(neon, id, gigabytes);
    const { peakBytes } = await backUp(neon, { tenants: name });
    peaks.push(peakBytes / MIB);
    console.log(`  ${gigabytes} GB: ${(peakBytes / MIB).toFixed(0)} MiB`);
  }
  const [small = 0, big = 0] = peaks;
  return [
    measured('backup-memory', 'peak memory, the larger of a 0.5 GB and a 4 GB dump', Math.max(small, big), 'MiB', {
      at: 'most',
      bound: 250,
    }),
    measured('backup-memory-growth', 'peak memory of the 4 GB dump ÷ of the 0.5 GB dump', big / small, '×', {
      at: 'most',
      bound: 1.2,
    }),
  ];
}

/** 100 small tenants, against the guide's steps one after another. */
async function fleet(folder: string): Promise<Measurement[]> {
  const size = 100;
  await using neon = await startLocalNeon();
  const ids = await neon.seedProjects(Array.from({ length: size }, (_, index) => `small-${index}`));
  for (const id of ids) await fill(neon, id, 0.000_2);
  const file = path.join(folder, 'small.sql.gz');
  const oursMs: number[] = [];
  const guideMs: number[] = [];
  for (let round = 1; round <= ROUNDS; round += 1) {
    oursMs.push((await backUp(neon, { tenants: 'small-*' })).durationMs);
    let totalMs = 0;
    for (const id of ids) {
      totalMs += await shell(`${PG_DUMP} | gzip > '${file}'`, libpqOf(neon, await uriOf(neon, id)));
      totalMs += await upload(neon, file, `guide/${id}-${round}.sql.gz`);
    }
    guideMs.push(totalMs);
    say(`round ${round}`, { ours: oursMs.at(-1), guide: totalMs });
  }
  return [
    measured(
      'backup-100-vs-guide',
      "100 small tenants: the guide's steps one by one ÷ backup",
      median(ratios(guideMs, oursMs)),
      '×',
      { at: 'least', bound: 4 },
    ),
  ];
}

interface StepCost extends FinishedAction {
  readonly peakBytes: number;
  readonly writtenBytes: number;
}

const backUp = (neon: LocalNeon, inputs: Record<string, string>) => step(neon, inputs);

async function step(neon: LocalNeon, inputs: Record<string, string>): Promise<StepCost> {
  const { s3 } = neon;
  const run = await startAction({
    bundle: path.join(ROOT, 'dist', 'backup', 'index.js'),
    // What GitHub's runners start it with.
    ...(hasPackagedNode24 ? { node: await node24() } : {}),
    inputs: {
      'neon-api-key': neon.apiKey,
      'neon-api-url': neon.apiUrl,
      's3-bucket': s3.bucket,
      's3-endpoint': s3.endpoint,
      's3-force-path-style': 'true',
      'aws-region': s3.region,
      concurrency: '8',
      ...inputs,
    },
    env: {
      // As the other side: one file of authorities for pg_dump and psql.
      PGSSLROOTCERT: neon.caFile,
      AWS_ACCESS_KEY_ID: s3.accessKeyId,
      AWS_SECRET_ACCESS_KEY: s3.secretAccessKey,
    },
  });
  const watch = watchMemory(run.process.pid ?? 0);
  const disk = watchDisk(run.process.pid ?? 0);
  const finished = await run.finished;
  const [peakBytes, writtenBytes] = [watch.stop(), disk.stop()];
  if (finished.exitCode !== 0) throw new Error(finished.log.slice(-3_000));
  return { ...finished, peakBytes, writtenBytes };
}

/** Follows what a process has had written to storage, by the kernel's own count. */
function watchDisk(pid: number): { stop: () => number } {
  let bytes = 0;
  const look = () =>
    void readFile(`/proc/${pid}/io`, 'utf8').then(
      (io) => {
        bytes = Math.max(bytes, Number(/^write_bytes: (\d+)/m.exec(io)?.[1] ?? 0));
      },
      () => undefined,
    );
  const timer = setInterval(look, 20);
  return {
    stop: () => {
      clearInterval(timer);
      return bytes;
    },
  };
}

async function shell(command: string, env: Record<string, string>): Promise<number> {
  const { durationMs } = await runProcess('bash', ['-c', `set -o pipefail; ${command}`], { env });
  return durationMs;
}

/**
 * The guide's second step. Its `aws s3 cp` is used when AWS_CLI says where the program is; else the same SDK as ours, in a
 * process that starts in less than half the time of that program.
 */
async function upload({ s3 }: LocalNeon, file: string, key: string): Promise<number> {
  const aws = process.env['AWS_CLI'];
  const [program, args] =
    aws === undefined
      ? [process.execPath, [path.join(ROOT, 'bench', 'upload-file.mjs'), file, key]]
      : [aws, ['s3', 'cp', '--only-show-errors', '--endpoint-url', s3.endpoint, file, `s3://${s3.bucket}/${key}`]];
  const { durationMs } = await runProcess(program, args, {
    env: {
      S3_BUCKET: s3.bucket,
      S3_ENDPOINT: s3.endpoint,
      AWS_REGION: s3.region,
      AWS_ACCESS_KEY_ID: s3.accessKeyId,
      AWS_SECRET_ACCESS_KEY: s3.secretAccessKey,
    },
  });
  return durationMs;
}

async function uriOf(neon: LocalNeon, projectId: string): Promise<string> {
  const api = createApiClient({ apiKey: neon.apiKey, baseURL: neon.apiUrl });
  const { data } = await api.getConnectionUri({ projectId, database_name: 'neondb', role_name: 'neondb_owner' });
  return data.uri;
}

/** The same way to the database for the other side: the tenant's own door, with its certificate verified. */
function libpqOf(neon: LocalNeon, uri: string): Record<string, string> {
  const { hostname, port, username, password, pathname } = new URL(uri);
  return {
    PGHOST: hostname,
    PGPORT: port,
    PGUSER: username,
    PGPASSWORD: password,
    PGDATABASE: pathname.slice(1),
    PGSSLMODE: 'verify-full',
    PGSSLROOTCERT: neon.caFile,
  };
}

const BYTES_A_ROW = 268; // of a plain dump

/**
 * Text, JSON and numbers that compress as those of an application do.
 *
 * @param gigabytes how large its plain dump is at least.
 */
async function fill(neon: LocalNeon, projectId: string, gigabytes: number): Promise<void> {
  const rows = Math.ceil((gigabytes * GB) / BYTES_A_ROW);
  const uri = new URL(await uriOf(neon, projectId));
  uri.search = '';
  const ca = await readFile(neon.caFile, 'utf8');
  const client = new pg.Client({ connectionString: uri.href, ssl: { ca, servername: uri.hostname } });
  await client.connect();
  try {
    await client.query(`CREATE TABLE events AS SELECT n AS id, now() - n * interval '1 minute' AS at,
      (random() * 1e6)::numeric(12, 4) AS amount, random() AS score,
      jsonb_build_object('user', n % 5000, 'action', (ARRAY['created', 'updated', 'deleted', 'viewed'])[1 + n % 4],
        'tags', jsonb_build_array('tag-' || n % 50, 'tag-' || n % 7), 'token', md5(n::text)) AS payload,
      'Task ' || n || ' of project ' || n % 300 || ' was ' || (ARRAY['finished early', 'moved to next week', 'handed over', 'reopened after a review'])[1 + n % 4]
        || ', see note ' || md5((n * 7)::text) AS description
      FROM generate_series(1, ${rows}) n`);
    await client.query('ALTER TABLE events ADD PRIMARY KEY (id)');
  } finally {
    await client.end();
  }
}

function ratios(these: readonly number[], those: readonly number[]): number[] {
  return these.map((value, index) => value / (those[index] ?? Number.NaN));
}

function say(what: string, times: Record<string, number | undefined>): void {
  const words = Object.entries(times).map(([side, ms]) => `${side} ${((ms ?? 0) / 1_000).toFixed(2)} s`);
  console.log(`  ${what}: ${words.join(', ')}`);
}
