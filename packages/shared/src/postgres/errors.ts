import { DatabaseError } from 'pg';

import { explain, ExplainedError, systemCode, type Explanation } from '../errors/index.js';

/** What is known about the place where a failure happened, for its message. */
export interface FailureContext {
  /** What was being done, such as `connecting to ep-x.aws.neon.tech:5432/neondb`; absent where the message says enough. */
  readonly doing?: string;
}

/** A failure of PostgreSQL or of the way there, without DETAIL, rows, parameters or passwords. */
export class PostgresError extends ExplainedError {
  /** Absent when the failure was not PostgreSQL's own answer. */
  readonly sqlState?: string;

  constructor(
    explanation: Explanation,
    sqlState?: string,
    /** Whether it was the way to the server that failed, and not something that was asked of it. */
    readonly whileConnecting = false,
  ) {
    super(explanation);
    this.name = 'PostgresError';
    if (sqlState !== undefined) this.sqlState = sqlState;
  }
}

/**
 * Turns what `pg` throws into an error that may be printed.
 *
 * DETAIL is left out because it quotes rows; so are the other properties of the driver's errors, which hold whole queries
 * and connection settings.
 */
export function postgresError(thrown: unknown, { doing }: FailureContext = {}): Error {
  if (thrown instanceof ExplainedError) return thrown;
  const prefix = doing === undefined ? '' : `${doing}: `;
  if (thrown instanceof DatabaseError) {
    const hint = hintForAnswer(thrown.code, thrown.message, doing !== undefined);
    return new PostgresError(
      {
        message: prefix + withoutValues(thrown.code, thrown.message),
        ...(thrown.code === undefined ? {} : { code: `SQLSTATE ${thrown.code}` }),
        ...(hint === undefined ? {} : { hint }),
      },
      thrown.code,
      doing !== undefined,
    );
  }
  const { message } = explain(thrown);
  const code = systemCode(thrown);
  const hint = hintForSystemCode(code, message);
  return new PostgresError(
    {
      message: prefix + message,
      ...(code === undefined ? {} : { code }),
      ...(hint === undefined ? {} : { hint }),
    },
    undefined,
    doing !== undefined,
  );
}

/**
 * Takes customers' data out of PostgreSQL's own words. Errors of class 22 are about a value, and quote it; other classes
 * quote names of tables, columns and constraints, which help.
 */
export function withoutValues(sqlState: string | undefined, message: string): string {
  return sqlState?.startsWith('22') === true ? message.replace(/: ".*$|"[^"]*"/s, '').trim() : message;
}

/** SQLSTATEs that decisions depend on (PostgreSQL documentation, appendix A). */
export const SQLSTATE = {
  lockNotAvailable: '55P03',
  queryCanceled: '57014',
  undefinedTable: '42P01',
  undefinedSchema: '3F000',
  cannotConnectNow: '57P03',
} as const;

/** Why Neon's proxy lets nobody, or not this machine, in. */
export type Refusal = 'quota' | 'address' | 'gone' | 'creating';

/** How the proxy words its refusals (its source, and what people report); they have no SQLSTATE of their own. */
const REFUSAL_WORDS: readonly (readonly [Refusal, RegExp])[] = [
  ['quota', /exceeded .*quota|quota .*exceeded|exceeded .*compute time|compute time .*exceeded/i],
  [
    'address',
    /IP address\b.*\bnot allowed to connect|blocked network|\bVPC endpoint\b.*\b(not allowed|not specified)/i,
  ],
  ['gone', /\bendpoint (could not|cannot) be found/i],
  ['creating', /running (conflicting )?operations|still being created/i],
];

const REFUSAL_HINTS: Readonly<Record<Refusal, string>> = {
  quota: 'Raise the quota of the project in Neon, or wait for the next billing period.',
  address:
    "The project's IP allow-list or network settings keep this runner out: add its address in Neon, or use a runner that is let in.",
  gone: 'Was the project or its branch deleted a moment ago?',
  creating: 'Neon is still working on the project. Run again in a moment.',
};

/** Whether a failure is one of the refusals that say nothing about what was wanted of the database. */
export function refusalOf(thrown: unknown): Refusal | undefined {
  // Once connected, these may be the words of a migration's own trigger or function.
  if (!(thrown instanceof PostgresError) || !thrown.whileConnecting) return undefined;
  return refusalIn(thrown.message);
}

function refusalIn(message: string): Refusal | undefined {
  return REFUSAL_WORDS.find(([, words]) => words.test(message))?.[0];
}

const TRANSIENT_SYSTEM_CODES = new Set(['ECONNREFUSED', 'ECONNRESET', 'ETIMEDOUT', 'EPIPE', 'EAI_AGAIN']);

/** Whether a failed attempt to connect may well succeed a moment later. */
export function isTransient(thrown: unknown): boolean {
  if (!(thrown instanceof PostgresError)) return false;
  if (thrown.sqlState !== undefined) return thrown.sqlState === SQLSTATE.cannotConnectNow;
  return TRANSIENT_SYSTEM_CODES.has(thrown.code ?? '') || thrown.message.includes('terminated unexpectedly');
}

/**
 * Whether a failure leaves open what became of the statement: there was no answer, or the server said only that the
 * connection ends.
 */
export function isConnectionLoss(thrown: unknown): boolean {
  return thrown instanceof PostgresError && (thrown.sqlState === undefined || /^(08|57P)/.test(thrown.sqlState));
}

const HINTS: Readonly<Record<string, string>> = {
  '28P01': 'The password was refused: it may have been reset while this ran. Run again: it is fetched anew.',
  '28000': 'The role may not connect. Is the IP allow-list of the project open for this runner?',
  '3D000': 'The database does not exist. Set the input database.',
  '42501': 'The role may not do this. Set the input role to the owner of the objects.',
  '53300': 'The database has no connection left. Lower the concurrency, or ask who holds them.',
  '55P03': 'Somebody holds a lock on that table. Run again at a quieter time, or raise lock-timeout.',
  '55P04':
    'A new enum value cannot be used in the transaction that adds it. Use it in a migration of its own: with transaction: per-migration each has a transaction of its own.',
  '57014': 'The statement took longer than statement-timeout, or it was cancelled.',
  '57P01': 'The server ended the connection: the compute was restarted or suspended. Run again.',
  '25001':
    'This statement cannot run in a transaction. Give it a migration of its own whose file begins with the line -- neon-fleet: no-transaction',
};

function hintForAnswer(code: string | undefined, message: string, whileConnecting: boolean): string | undefined {
  const refusal = whileConnecting ? refusalIn(message) : undefined;
  if (refusal !== undefined) return REFUSAL_HINTS[refusal];
  return code === undefined ? undefined : HINTS[code];
}

const CERTIFICATE_CODES = /CERT|SIGNATURE|ISSUER|ALTNAME/;

function hintForSystemCode(code: string | undefined, message: string): string | undefined {
  if (code !== undefined && CERTIFICATE_CODES.test(code)) {
    return 'The server could not prove who it is. For a certificate authority of your own set PGSSLROOTCERT (or NODE_EXTRA_CA_CERTS) to its file.';
  }
  switch (code) {
    case 'ECONNREFUSED':
    case 'ECONNRESET':
    case 'EPIPE':
    case 'ETIMEDOUT':
      return 'The database does not accept connections. Is its compute suspended, restarting, or closed to this IP address?';
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'The host name is not known. Was the project deleted a moment ago, or is DNS not available on this runner?';
    default:
      return /timeout/i.test(message)
        ? 'The compute did not answer in time. Run again; a cold start may take longer once.'
        : undefined;
  }
}
