import { z } from 'zod';

const name = z.string().min(1).max(63);

/** A role, without its password. */
export const roleSchema = z.object({
  name,
  login: z.boolean(),
  inherit: z.boolean(),
  createDb: z.boolean(),
  createRole: z.boolean(),
  bypassRls: z.boolean(),
  /** -1: no limit. */
  connectionLimit: z.int(),
});

export const membershipSchema = z.object({ role: name, member: name, admin: z.boolean() });

export const PRIVILEGES = [
  'SELECT',
  'INSERT',
  'UPDATE',
  'DELETE',
  'TRUNCATE',
  'REFERENCES',
  'TRIGGER',
  'MAINTAIN',
  'USAGE',
  'EXECUTE',
  'CREATE',
  'CONNECT',
  'TEMPORARY',
] as const;

const OBJECT_KINDS = ['table', 'sequence', 'column', 'routine', 'schema', 'type', 'database'] as const;

/** The privileges on one object that are not just those it is born with: all of them, but for its owner's. */
export const grantsSchema = z.object({
  kind: z.enum(OBJECT_KINDS),
  schema: z.string().exactOptional(),
  name: z.string().exactOptional(),
  column: z.string().exactOptional(),
  /** Of a routine: its argument types, as PostgreSQL lists them, each quoted by it. */
  arguments: z.string().exactOptional(),
  grants: z.array(
    z.object({
      /** Absent: everybody (PUBLIC). */
      to: name.exactOptional(),
      privileges: z.array(z.enum(PRIVILEGES)).min(1),
      grantable: z.boolean(),
    }),
  ),
});

/** What new objects of a role will be granted. */
export const defaultGrantsSchema = z.object({
  /** Absent: the owner of everything, which is another role after a restore. */
  owner: name.exactOptional(),
  schema: z.string().exactOptional(),
  objects: z.enum(['TABLES', 'SEQUENCES', 'FUNCTIONS', 'TYPES', 'SCHEMAS']),
  to: name.exactOptional(),
  privileges: z.array(z.enum(PRIVILEGES)).min(1),
  grantable: z.boolean(),
});

export type Role = Readonly<z.infer<typeof roleSchema>>;
export type Membership = Readonly<z.infer<typeof membershipSchema>>;
export type ObjectGrants = Readonly<z.infer<typeof grantsSchema>>;
export type DefaultGrants = Readonly<z.infer<typeof defaultGrantsSchema>>;
