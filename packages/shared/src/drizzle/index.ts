export { applyMigrations } from './apply.js';
export { assess, type AppliedMigration, type Assessment, type SchemaState } from './assessment.js';
export { migrateDatabase, type MigrateOptions } from './migrate-database.js';
export { readMigrations, type Migration } from './migrations.js';
export { DRIZZLE_TABLE, readSchemaState, type MigrationsTable } from './schema-state.js';
