export {
  openClientFinder,
  type ClientFinder,
  type ClientFinderOptions,
  type ClientPrograms,
} from './client-programs.js';
export { findServer, type ServerPrograms } from './server-programs.js';
export { chooseClient, knowsRestrict, parseClientVersion, versionWords, type ClientVersion } from './client-version.js';
export { connect, type Connection, type ConnectOptions, type Row } from './connection.js';
export {
  isConnectionLoss,
  PostgresError,
  postgresError,
  refusalOf,
  SQLSTATE,
  withoutValues,
  type Refusal,
} from './errors.js';
export { libpqEnvironment, type LibpqSettings } from './libpq-environment.js';
export { prepareLibpqTrust, type LibpqTrust, type LibpqTrustEnvironment } from './libpq-trust.js';
export { LOCK_KEY, takeLock, tryLockSql, type LockMode, type LockOptions } from './lock.js';
export { directHost, hostOf, parseConnectionUri, placeOf, type ConnectionTarget, type TlsMode } from './target.js';
export { trustedAuthorities, trustSource, type TrustEnvironment, type TrustSource } from './trust.js';
