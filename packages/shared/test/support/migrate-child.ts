// A process that migrates one database, to be killed. What it is to do comes in the environment variable JOB.
import { migrateDatabase, type MigrationFolder, type TransactionMode } from '../../src/drizzle/index.js';
import { migrateOptions } from './migrations.js';

/** What such a process is told. */
export interface MigrateJob {
  readonly url: string;
  readonly folder: MigrationFolder;
  readonly transaction: TransactionMode;
}

const { url, folder, transaction } = JSON.parse(process.env['JOB'] ?? '') as MigrateJob;
const result = await migrateDatabase(url, migrateOptions(folder, { transaction }));
console.log(JSON.stringify(result));
