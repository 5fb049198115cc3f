import { z } from 'zod';

import { BUCKET_NAME, FOLDER, KMS_KEY, STORE_REGION } from '../s3/names.js';
import { durationSetting, sizeSetting } from './fleet-file-units.js';
import { parseRetention, RETENTION_WORDS } from './retention-policy.js';

/*
 * What fleet.yml may say. The one definition: the parser, the messages about unknown keys, and the JSON Schema for
 * editors are all made of it. Lengths of time become seconds and amounts of data bytes.
 */

const WEEKDAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;
const LONGEST_HISTORY_S = 2_592_000; // the API's own bound

const line = (what: string, max: number) =>
  z
    .string({ error: what })
    .min(1, what)
    .max(max, `${what} of at most ${max} characters`)
    // eslint-disable-next-line no-control-regex
    .regex(/^[^\u0000-\u001f\u007f]+$/, `${what} without line breaks and control characters`);

const sqlName = (what: string) =>
  z
    .string({ error: what })
    .min(1, what)
    .max(63, `${what} of at most 63 characters`)
    // eslint-disable-next-line no-control-regex
    .regex(/^[^\u0000]*$/, what);

const computeUnits = z
  .number({ error: 'a number of compute units, such as 0.25 or 2' })
  .min(0.25, 'at least 0.25 compute units')
  .max(56, 'at most 56 compute units');

const clock = z
  .string({ error: 'a time of day in UTC, such as "03:00" (in quotes)' })
  .regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'a time of day in UTC, such as "03:00"');

const autoscaling = z
  .strictObject({ min: computeUnits.exactOptional(), max: computeUnits.exactOptional() })
  .refine(({ min, max }) => min === undefined || max === undefined || min <= max, 'min must not be greater than max')
  .describe('Limits of the compute, in compute units.');

const quota = z
  .strictObject({
    'active-time': durationSetting().exactOptional().describe('Wall-clock time of all computes in a billing period.'),
    'compute-time': durationSetting().exactOptional().describe('CPU time of all computes in a billing period.'),
    'written-data': sizeSetting().exactOptional().describe('Data written in a billing period.'),
    'data-transfer': sizeSetting().exactOptional().describe('Data sent out in a billing period.'),
    'logical-size': sizeSetting().exactOptional().describe('Size of a branch; beyond it writing fails.'),
  })
  .describe('Beyond a quota the compute is suspended and cannot be started; 0s and 0B mean unlimited.');

const allowedIps = z
  .strictObject({
    ips: z.array(line('an IP address, a range or CIDR', 64)).describe('Empty: everybody.'),
    'protected-branches-only': z.boolean().exactOptional(),
  })
  .describe('Who may connect.');

const maintenanceWindow = z
  .strictObject({
    weekdays: z
      .array(z.enum(WEEKDAYS).transform((day) => WEEKDAYS.indexOf(day) + 1))
      .min(1, 'at least one weekday, such as sun'),
    start: clock,
    end: clock,
  })
  .describe('When Neon may interrupt the compute, in UTC.');

/** What a policy that was misread would delete is gone: it is read here, where a line and a column can be given. */
const retention = z.string({ error: RETENTION_WORDS }).refine((text) => {
  try {
    parseRetention(text);
    return true;
  } catch {
    return false;
  }
}, RETENTION_WORDS);

const name = (what: string, form: RegExp) => z.string({ error: what }).regex(form, what);

const backup = z
  .strictObject({
    every: durationSetting({ min: 60 }).exactOptional().describe('How old the newest good backup may become.'),
    retention: retention.exactOptional().describe('Which backups to keep.'),
    bucket: name('the name of a bucket, such as acme-backups-eu', BUCKET_NAME)
      .exactOptional()
      .describe('Bucket of the backups, for data that must stay in a country.'),
    prefix: name("folders of letters, digits and ! _ . * ' ( ) = -, such as neon/enterprise", FOLDER)
      .exactOptional()
      .describe('Folder in the bucket.'),
    'aws-region': name('the name of a region of the store, such as eu-central-1', STORE_REGION)
      .exactOptional()
      .describe('Region of the bucket.'),
    'kms-key': name('the id, alias or ARN of a key of KMS', KMS_KEY)
      .exactOptional()
      .describe('Key of KMS that the backups are encrypted with.'),
  })
  .refine(
    (policy) => Object.keys(policy).length > 0,
    'at least one of every, retention, bucket, prefix, aws-region and kms-key: an empty policy says nothing',
  )
  .describe('Policy for the backup action.');

const suspendAfter = z
  .union([
    z.literal('default').transform(() => 0),
    z.literal('never').transform(() => -1),
    durationSetting({ min: 60, max: 604_800 }),
  ])
  .describe('When an idle compute is suspended: a length of time, `never` or `default`. Not on the Free plan.');

const labels = z
  .record(line('the name of a label', 100), line('the value of a label', 256))
  .describe('Words of your own to group tenants by.');

const settings = {
  region: z
    .string()
    .regex(/^[a-z]+-[a-z0-9-]+$/, 'a region of Neon, such as aws-us-east-1')
    .exactOptional()
    .describe('Region of a new project; it cannot be changed later.'),
  postgres: z
    .int('a major version of PostgreSQL, such as 17')
    .min(14, 'PostgreSQL 14 or newer')
    .max(99)
    .exactOptional()
    .describe('Major version of PostgreSQL of a new project; it cannot be changed later.'),
  branch: line('the name of a branch', 256)
    .exactOptional()
    .describe("Branch of the tenant's data. Default: the project's."),
  database: sqlName('the name of a database').exactOptional().describe('Default: neondb.'),
  role: sqlName('the name of a role').exactOptional().describe('Default: neondb_owner.'),
  'application-role': sqlName('the name of a role')
    .exactOptional()
    .describe('Role for the application, which may read and write rows and nothing else. Default: none is made.'),
  autoscaling: autoscaling.exactOptional(),
  'suspend-after': suspendAfter.exactOptional(),
  quota: quota.exactOptional(),
  'history-retention': durationSetting({ max: LONGEST_HISTORY_S })
    .exactOptional()
    .describe('How far back a branch can be restored.'),
  'allowed-ips': allowedIps.exactOptional(),
  'logical-replication': z.boolean().exactOptional().describe('Once enabled it cannot be disabled.'),
  'maintenance-window': maintenanceWindow.exactOptional(),
  extensions: z.array(sqlName('the name of an extension')).exactOptional().describe('Extensions of the database.'),
  protected: z.boolean().exactOptional().describe('Never retired by provision.'),
  labels: labels.exactOptional(),
  backup: backup.exactOptional(),
} as const;

export const settingsSchema = z.strictObject(settings);

const glob = line('a glob, compared with keys', 1_000);

const matchSchema = z.union(
  [
    glob,
    z.array(glob).min(1),
    z.strictObject({
      key: z.union([glob, z.array(glob).min(1)]).exactOptional(),
      region: line('a region', 100).exactOptional(),
      labels: labels.exactOptional(),
    }),
  ],
  { error: 'a glob on keys, a list of them, or { key, region, labels }' },
);

const groupSchema = z.strictObject({
  match: matchSchema.describe('Whom the group is about: a glob on keys, or { key, region, labels }.'),
  ...settings,
});

const tenantSchema = z.strictObject({
  key: z
    .string({ error: 'a key of letters, digits and . _ - (in quotes if it is a number)' })
    .regex(
      /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/,
      'at most 100 letters, digits and . _ - that begin with a letter or digit',
    )
    .describe('Your own name for the tenant. It never changes.'),
  name: line('the name of the project', 256).exactOptional().describe('Name of the project. Default: the key.'),
  'project-id': z
    .string()
    .regex(/^[a-z0-9-]{1,60}$/, 'the id of a project, such as misty-river-12345678')
    .exactOptional()
    .describe('Filled in by `command: import`. With it, a changed name renames the project.'),
  ...settings,
});

export const fleetFileSchema = z
  .strictObject({
    defaults: settingsSchema.exactOptional().describe('Every tenant starts from these.'),
    groups: z.array(groupSchema).exactOptional().describe('Settings for some of the tenants; later ones win.'),
    tenants: z.array(tenantSchema).exactOptional(),
    ignored: z
      .array(line('a glob, compared with names and ids of projects', 1_000))
      .exactOptional()
      .describe('Projects that are none of the fleet.'),
  })
  .meta({ title: 'neon-fleet: fleet.yml' });

export type TenantSettings = z.infer<typeof settingsSchema>;
/** What the file says about the backups of a tenant: `every` in seconds, all else as it is written. */
export type BackupSettings = NonNullable<TenantSettings['backup']>;
export type FleetGroup = z.infer<typeof groupSchema>;
export type FleetTenant = z.infer<typeof tenantSchema>;
export type GroupMatch = z.infer<typeof matchSchema>;

/** The JSON Schema that editors complete and check fleet.yml with. */
export function fleetFileJsonSchema(): Record<string, unknown> {
  return { ...z.toJSONSchema(fleetFileSchema, { io: 'input', target: 'draft-7' }) };
}
