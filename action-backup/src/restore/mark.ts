import { randomBytes } from 'node:crypto';

import type { Connection } from '@neon-fleet/shared/postgres';

import { literal } from '../roles/role-sql.js';

/*
 * A database that was made to restore into remembers which backup is in it, so that a run whose predecessor was killed
 * after the COMMIT finds a restore that is done, instead of a target that is not empty.
 */

const WORDS = 'neon-fleet: restored from ';

/** SQL that writes into a database which backup it holds; part of the restore's own transaction. */
export function markSql(key: string): string {
  const tag = `$mark_${randomBytes(8).toString('hex')}$`;
  const comment = literal(`${WORDS}${key}`);
  const body = `BEGIN EXECUTE format('COMMENT ON DATABASE %I IS %L', current_database(), ${comment}); END`;
  return `DO ${tag}${body}${tag};\n`;
}

/** The key of the backup that a database says it holds. */
export async function readMark(connection: Pick<Connection, 'query'>): Promise<string | undefined> {
  const [row] = await connection.query(
    `SELECT pg_catalog.shobj_description(oid, 'pg_database') AS words FROM pg_catalog.pg_database WHERE datname = current_database()`,
  );
  const words = row?.['words'];
  return typeof words === 'string' && words.startsWith(WORDS) ? words.slice(WORDS.length) : undefined;
}
