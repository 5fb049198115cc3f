import type { DatabaseRecord, EndpointRecord, ProjectRecord, RoleRecord } from '../state/model.js';
import { isAllowed } from './ip-rules.js';
import type { WireError } from './wire.js';

export type DoorKind = 'direct' | 'pooled';

/** What is known about a connection before it reaches the real server. */
export interface Applicant {
  readonly project: ProjectRecord;
  readonly endpoint: EndpointRecord;
  readonly kind: DoorKind;
  readonly encrypted: boolean;
  /** The address that it comes from. */
  readonly address: string;
  /** Of the startup packet. */
  readonly parameters: ReadonlyMap<string, string>;
}

export type Admission =
  | { readonly role: RoleRecord; readonly database: DatabaseRecord }
  /** A database that no API call made: there only if the role made it with SQL. */
  | { readonly role: RoleRecord; readonly madeWithSql: string }
  /** A role that no API call made: there only if it was made with SQL. */
  | { readonly roleMadeWithSql: string; readonly database: DatabaseRecord }
  | { readonly error: WireError };

/** What Neon's proxy says when a quota keeps the compute from starting. */
export const quotaExceeded: WireError = {
  severity: 'ERROR',
  code: 'XX000',
  message: 'Your account or project has exceeded the compute time quota. Upgrade your plan to increase limits.',
};

/** What it says while the project is still being made. */
export const stillCreating: WireError = {
  severity: 'ERROR',
  code: 'XX000',
  message: 'project already has running operations, scheduling of new ones is prohibited',
};

/** Why a project's network settings keep an address out, in the words of Neon's proxy. */
function keptOut(project: ProjectRecord, branchId: string, address: string): string | undefined {
  const { block_public_connections: blocked, allowed_ips: allowed } = project.settings ?? {};
  if (blocked === true) return 'This connection is trying to access this endpoint from a blocked network.';
  const isProtected = project.branches.get(branchId)?.protected === true;
  if (allowed?.protected_branches_only === true && !isProtected) return undefined;
  if (isAllowed(address, allowed?.ips ?? [])) return undefined;
  return `This IP address ${address} is not allowed to connect to this endpoint. Please add it to the allowed list in the Neon console. Make sure to check for IPv4 or IPv6 addresses.`;
}

export const passwordFailed = (user: string): WireError => ({
  severity: 'ERROR',
  code: '28P01',
  message: `password authentication failed for user '${user}'`,
});

export const noSuchDatabase = (name: string): WireError => ({
  severity: 'FATAL',
  code: '3D000',
  message: `database "${name}" does not exist`,
});

/** Decides whom a connection is for, or why it is refused. Passwords are the real server's business. */
export function admit({ project, endpoint, kind, encrypted, address, parameters }: Applicant): Admission {
  const refuse = (code: string, message: string, severity: 'FATAL' | 'ERROR' = 'FATAL') => ({
    error: { severity, code, message },
  });
  if (!encrypted) return refuse('XX000', 'connection is insecure (try using `sslmode=require`)', 'ERROR');
  if (project.deletedAt !== undefined || !project.endpoints.has(endpoint.id)) {
    return refuse('XX000', 'The requested endpoint could not be found, or you do not have access to it.', 'ERROR');
  }
  const reason = keptOut(project, endpoint.branchId, address);
  if (reason !== undefined) return refuse('XX000', reason, 'ERROR');
  if (endpoint.disabled) {
    return refuse('XX000', 'The endpoint has been disabled. Enable it using Neon API and retry.', 'ERROR');
  }
  if (kind === 'pooled' && parameters.has('options')) return refuse('08P01', 'unsupported startup parameter: options');
  const user = parameters.get('user') ?? '';
  const role = project.roles.get(user);
  const name = parameters.get('database') ?? user;
  const database = project.branches.get(endpoint.branchId)?.databases.get(name);
  if (!role && user !== '' && database) return { roleMadeWithSql: user, database };
  if (!role || role.noLogin) return { error: passwordFailed(user) };
  return database ? { role, database } : { role, madeWithSql: name };
}
