import type { Compression, DumpFormat, ObjectSuffix } from '@neon-fleet/shared/backups';

/** What of a database goes into a dump, and in which form. */
export interface DumpShape {
  readonly format: DumpFormat;
  readonly compression: Compression;
  /** gzip's 1 to 9; for zstd the same number is taken. */
  readonly compressionLevel: number;
  /** Patterns of pg_dump. */
  readonly excludeTables: readonly string[];
  readonly excludeTableData: readonly string[];
  readonly schemas: readonly string[];
  /** Further arguments, each of which `isAllowedArgument`. */
  readonly extraArgs: readonly string[];
}

export const WHOLE_PLAIN_DUMP: DumpShape = {
  format: 'plain',
  compression: 'gzip',
  compressionLevel: 1,
  excludeTables: [],
  excludeTableData: [],
  schemas: [],
  extraArgs: [],
};

/**
 * Arguments that may be added: an allow-list, because many of the others would break what a backup promises (another
 * output, another database, rows that are not counted, a schema without data) or repeat what has an input of its own.
 */
const ALLOWED = [
  /^--(no-)?(blobs|large-objects)$/,
  /^--no-(comments|publications|subscriptions|security-labels|tablespaces|toast-compression|table-access-method|unlogged-table-data|policies|statistics)$/,
  /^--(quote-all-identifiers|serializable-deferrable|strict-names|enable-row-security|load-via-partition-root|disable-dollar-quoting)$/,
  /^--extra-float-digits=-?\d{1,2}$/,
  /^--encoding=[A-Za-z0-9_-]{1,30}$/,
  /^--(exclude-)?extension=[^\0\n]{1,200}$/,
  /^--include-foreign-data=[^\0\n]{1,200}$/,
  /^--(table|exclude-table|exclude-table-data|exclude-schema)(-and-children)?=[^\0\n]{1,200}$/,
] as const;

export const ALLOWED_ARGUMENT_WORDS =
  'options of pg_dump that change what is dumped, one a line, such as --no-comments or --extra-float-digits=3; none about output, format, connection, or parts of a dump';

export function isAllowedArgument(argument: string): boolean {
  return ALLOWED.some((pattern) => pattern.test(argument));
}

/** Whether a dump leaves out something of its database. */
export function isPartial({ excludeTables, excludeTableData, schemas, extraArgs }: DumpShape): boolean {
  const leavesOut = /^--(no-|table|exclude-|extension|load-via)/;
  return (
    excludeTables.length + excludeTableData.length + schemas.length > 0 ||
    extraArgs.some((each) => leavesOut.test(each))
  );
}

/** What the key of such a dump ends with. */
export function suffixOf({ format, compression }: Pick<DumpShape, 'format' | 'compression'>): ObjectSuffix {
  if (format === 'custom') return '.dump';
  return ({ gzip: '.sql.gz', zstd: '.sql.zst', none: '.sql' } as const)[compression];
}

export function contentTypeOf({ format, compression }: Pick<DumpShape, 'format' | 'compression'>): string {
  if (format === 'custom') return 'application/octet-stream';
  return { gzip: 'application/gzip', zstd: 'application/zstd', none: 'application/sql' }[compression];
}

/** What pg_dump is told besides where to connect. */
export function dumpArguments(
  shape: DumpShape,
  {
    lockWaitMs,
    snapshot,
    clientMajor,
  }: { readonly lockWaitMs: number; readonly snapshot: string | undefined; readonly clientMajor: number },
): string[] {
  return [
    `--format=${shape.format}`,
    // Roles are other ones wherever it will be restored; the manifest has them.
    '--no-owner',
    '--no-privileges',
    '--no-password',
    `--lock-wait-timeout=${lockWaitMs}`,
    ...(snapshot === undefined ? [] : [`--snapshot=${snapshot}`]),
    ...(shape.format === 'custom' ? [customCompression(shape, clientMajor)] : []),
    ...shape.excludeTables.map((pattern) => `--exclude-table=${pattern}`),
    ...shape.excludeTableData.map((pattern) => `--exclude-table-data=${pattern}`),
    ...shape.schemas.map((pattern) => `--schema=${pattern}`),
    ...shape.extraArgs,
  ];
}

/** The first pg_dump that takes the name of a method. */
const KNOWS_METHODS = 16;

function customCompression({ compression, compressionLevel }: DumpShape, clientMajor: number): string {
  if (compression === 'none') return '--compress=0';
  if (clientMajor < KNOWS_METHODS) return `--compress=${compressionLevel}`;
  return `--compress=${compression}:${compressionLevel}`;
}

/** Why a dump of this shape cannot be made here; undefined when it can. */
export function impossible(shape: DumpShape, clientMajor: number): string | undefined {
  if (shape.format === 'custom' && shape.compression === 'zstd' && clientMajor < KNOWS_METHODS) {
    return `pg_dump ${clientMajor} cannot compress custom dumps with zstd; 16 and newer can`;
  }
  return undefined;
}
