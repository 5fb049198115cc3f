export {
  assess,
  findingWords,
  type AssessOptions,
  type Assessment,
  type DriftFinding,
  type SchemaState,
} from './assessment.js';
export { inspectDatabase, plannedRecord, type InspectOptions, type Inspection } from './inspect-database.js';
export { keepsLock, lockDatabase, underLock, type LockDatabaseOptions, type LockedDatabase } from './lock-database.js';
export type { AppliedMigration, RowName } from './match-rows.js';
export { migrateDatabase, type MigrateOptions, type OnDrift, type OnFailure } from './migrate-database.js';
export {
  createTableSql,
  DRIZZLE_TABLE,
  qualifiedName,
  recordSql,
  upgradeTableSql,
  type MigrationsTable,
} from './migrations-table.js';
export {
  digestUpTo,
  fileOf,
  findMigration,
  lookAtMigrations,
  readMigrations,
  UnusableFolderError,
  type DrizzleFormat,
  type Migration,
  type MigrationFolder,
} from './migrations.js';
export { findPostCheckFailure, refuseUnusablePostCheck } from './post-check.js';
export { renderPendingSql } from './render-sql.js';
export { readWalPosition, type WalPosition } from './restore-point.js';
export { driftResult, lockedResult } from './results.js';
export { readSchemaState } from './schema-state.js';
export { isBackAt, standingOf, standingWords, type Standing } from './standing.js';
export type { TransactionMode } from './units.js';
