import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { pipeline } from 'node:stream/promises';

import { damaged, type Manifest } from '@neon-fleet/shared/backups';
import { ExplainedError, systemCode } from '@neon-fleet/shared/errors';
import { libpqEnvironment, type ClientPrograms, type ConnectionTarget } from '@neon-fleet/shared/postgres';
import { childEnvironment, startProgram, type Environment, type RunningProgram } from '@neon-fleet/shared/processes';

import { decompressor } from '../dump/compress.js';
import { psqlError } from './psql-error.js';
import { DumpWatch } from '../dump/trailer.js';
import { withoutLines } from '../dump/without-lines.js';

export interface LoadOptions {
  readonly client: Pick<ClientPrograms, 'psql'>;
  readonly target: ConnectionTarget;
  readonly rootCertificates: string;
  readonly env: Environment;
  readonly manifest: Manifest;
  /** The stored object. */
  readonly object: AsyncIterable<Buffer>;
  /** Lines of the dump that are not to be carried out; see `linesToLeaveOut`. */
  readonly leaveOut: ReadonlySet<string>;
  /** What the target says of a transaction: `committed`, `aborted`, `in progress`. Asked over another connection. */
  readonly transactionStatus: (transaction: string) => Promise<string | undefined>;
  /** SQL of our own before and after the dump, in the same transaction. */
  readonly before?: string;
  readonly after?: string;
  readonly signal: AbortSignal;
}

/** The first server that knows the setting which pg_dump 17 and newer begin with. */
const KNOWS_TRANSACTION_TIMEOUT = 17;

/**
 * What a dump says that must not be said to this target: it wraps large objects into transactions of their own, which
 * would end ours half way; and a pg_dump newer than the server sets what that server does not know.
 */
export function linesToLeaveOut(targetMajor: number): ReadonlySet<string> {
  const lines = ['BEGIN;', 'COMMIT;'];
  if (targetMajor < KNOWS_TRANSACTION_TIMEOUT) lines.push('SET transaction_timeout = 0;');
  return new Set(lines);
}

/**
 * Loads a backup into a database, all of it or nothing.
 *
 * The transaction is ours and not psql's `--single-transaction`: that one commits whatever it was given when its input
 * ends, also when the input ended because this process was killed. Here the COMMIT is sent only when the checksum, the
 * sizes and the dump's trailer were all found to be right; any other end rolls back.
 *
 * A dump is not trusted: whoever can write to the bucket could make one whose checksum is right. psql is told to carry out
 * none of its own commands (`\\restrict`, with a key that the dump cannot know), and what counts in the end is not psql's
 * exit but what the server says of the one transaction.
 *
 * @throws ExplainedError, or the reason of the signal.
 */
export async function loadBackup(options: LoadOptions): Promise<void> {
  const { client, target, rootCertificates, env, manifest, signal } = options;
  signal.throwIfAborted();
  const applicationName = 'neon-fleet restore';
  const psql = startProgram({
    file: client.psql,
    args: psqlArguments(),
    env: childEnvironment(env, libpqEnvironment(target, { rootCertificates, applicationName })),
    signal,
  });
  const token = randomBytes(16).toString('hex');
  const transactions = readTransactions(psql, token);
  try {
    await write(psql, `\\restrict ${token}\nBEGIN;\n${tellTransaction(token)}${options.before ?? ''}`);
    const hash = createHash('sha256');
    const watch = new DumpWatch();
    let storedBytes = 0;
    await pipeline(
      options.object,
      async function* (chunks: AsyncIterable<Buffer>) {
        for await (const chunk of chunks) {
          hash.update(chunk);
          storedBytes += chunk.length;
          yield chunk;
        }
      },
      decompressor(manifest.compression),
      async (chunks: AsyncIterable<Buffer>) => {
        const isUnwanted = (line: string) =>
          options.leaveOut.has(line) || IS_RESTRICT.test(line) || IS_NEONS_OWN.test(line);
        for await (const chunk of withoutLines(watched(chunks, watch), isUnwanted)) await write(psql, chunk);
      },
      { signal },
    ).catch((thrown: unknown) => {
      throw isGzipError(thrown) ? damaged(manifest, 'it cannot be decompressed') : thrown;
    });
    checkWhole(manifest, { storedBytes, sha256: hash.digest('hex'), watch });
    await write(psql, `\n${options.after ?? ''}${tellTransaction(token)}COMMIT;\n`);
    psql.stdin.end();
    const exit = await psql.exited;
    signal.throwIfAborted();
    const [begun, ended] = transactions;
    if (begun !== undefined && begun === ended && (await options.transactionStatus(begun)) === 'committed') return;
    throw exit.code === 0 ? endedItsTransaction(manifest) : psqlError(exit);
  } catch (thrown) {
    signal.throwIfAborted();
    throw thrown;
  } finally {
    await psql.stop();
  }
}

async function* watched(chunks: AsyncIterable<Buffer>, watch: DumpWatch): AsyncGenerator<Buffer, void, void> {
  for await (const chunk of chunks) {
    watch.add(chunk);
    yield chunk;
  }
}

/** The dump's own, which would lift ours. */
const IS_RESTRICT = /^\\(un)?restrict\b/;

/** What Neon's own role will grant is Neon's to say: nobody else may, and every project has it. */
const IS_NEONS_OWN = /^ALTER DEFAULT PRIVILEGES FOR ROLE (cloud_admin|neon_superuser) .*;$/;

function tellTransaction(token: string): string {
  return `SELECT '${token} ' || pg_catalog.txid_current();\n`;
}

/** The transactions that psql tells of under a token, in their order; grows while psql runs. */
function readTransactions(psql: RunningProgram, token: string): readonly string[] {
  const transactions: string[] = [];
  createInterface({ input: psql.stdout }).on('line', (line) => {
    if (line.startsWith(`${token} `)) transactions.push(line.slice(token.length + 1));
  });
  return transactions;
}

function endedItsTransaction({ key }: Pick<Manifest, 'key'>): ExplainedError {
  return new ExplainedError({
    message: `the dump of ${key} ended the transaction that it was loaded in, as no dump of pg_dump does; the target may hold a part of it`,
    hint: 'Who can write to the bucket? Do not use the target; restore another backup into a new database.',
  });
}

/** What psql is told besides where to connect. Nothing of a user's own settings is read, and the first error ends it. */
export function psqlArguments(): string[] {
  const variables = ['ON_ERROR_STOP=1', 'VERBOSITY=verbose', 'ECHO=errors'];
  return [
    '--no-psqlrc',
    '--quiet',
    '--tuples-only',
    '--no-align',
    '--no-password',
    ...variables.map((set) => `--set=${set}`),
    '--file=-',
  ];
}

/** Writes to psql no faster than it reads. @throws what psql complained of, when it has ended. */
async function write(psql: RunningProgram, text: string | Buffer): Promise<void> {
  if (psql.stdin.write(text)) return;
  const waiting = new AbortController();
  const drained = once(psql.stdin, 'drain', { signal: waiting.signal });
  // A pipe that breaks says only that psql has ended, or is about to: what it complained of is in its exit.
  const ended = await Promise.race([
    drained.then(
      () => undefined,
      () => psql.exited,
    ),
    psql.exited,
  ]);
  waiting.abort();
  if (ended !== undefined) throw psqlError(ended);
}

interface Measured {
  readonly storedBytes: number;
  readonly sha256: string;
  readonly watch: DumpWatch;
}

function checkWhole(manifest: Manifest, { storedBytes, sha256, watch }: Measured): void {
  if (storedBytes !== manifest.sizeBytes) {
    throw damaged(manifest, `it has ${storedBytes} bytes instead of ${manifest.sizeBytes}`);
  }
  if (sha256 !== manifest.sha256) throw damaged(manifest, 'its checksum is not the one that was recorded');
  if (watch.bytes !== manifest.dumpBytes) {
    throw damaged(manifest, `its dump has ${watch.bytes} bytes instead of ${manifest.dumpBytes}`);
  }
  if (!watch.isWhole()) throw damaged(manifest, 'its dump does not end as a whole one does');
}

function isGzipError(thrown: unknown): boolean {
  return /^(Z_|ZSTD_)/.test(systemCode(thrown) ?? '');
}
