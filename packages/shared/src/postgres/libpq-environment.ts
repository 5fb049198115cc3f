import type { ConnectionTarget } from './target.js';

export interface LibpqSettings {
  /** `PGSSLROOTCERT`: a file of authorities, or `system`. Only used when the target's certificate is to be verified. */
  readonly rootCertificates: string;
  readonly applicationName: string;
}

const CONNECT_TIMEOUT_S = 30;

const SSLMODES = {
  verified: 'verify-full',
  encrypted: 'require',
  opportunistic: 'prefer',
  off: 'disable',
} as const;

/**
 * The variables through which a client program is told where to connect. The password goes this way, because arguments
 * are visible to everybody on the machine; nothing of it is written to a file.
 */
export function libpqEnvironment(target: ConnectionTarget, settings: LibpqSettings): Record<string, string> {
  return {
    PGHOST: target.host,
    PGPORT: String(target.port),
    PGUSER: target.user,
    PGDATABASE: target.database,
    PGSSLMODE: SSLMODES[target.tls],
    PGCONNECT_TIMEOUT: String(CONNECT_TIMEOUT_S),
    PGAPPNAME: settings.applicationName,
    ...(target.password === '' ? {} : { PGPASSWORD: target.password }),
    ...(target.tls === 'verified' ? { PGSSLROOTCERT: settings.rootCertificates } : {}),
    ...(target.requireChannelBinding === true ? { PGCHANNELBINDING: 'require' } : {}),
    ...(target.options === undefined ? {} : { PGOPTIONS: target.options }),
  };
}
