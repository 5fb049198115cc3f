export { checkMigrations, type CheckOptions, type ConfigCheck, type SchemaCheck } from './check-migrations.js';
export { refuseCredentials, secretInputProblems } from './credentials.js';
export { checkProblems, renderChecks } from './words.js';
