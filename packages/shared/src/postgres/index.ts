export { connect, type Connection, type ConnectOptions, type Row } from './connection.js';
export { isQuotaSuspended, PostgresError, postgresError, SQLSTATE } from './errors.js';
export { LOCK_KEY, takeLock, type LockMode, type LockOptions } from './lock.js';
export { parseConnectionUri, placeOf, type ConnectionTarget, type TlsMode } from './target.js';
export { trustedAuthorities, trustSource, type TrustEnvironment, type TrustSource } from './trust.js';
