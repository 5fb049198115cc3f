/** How a dump is written, and what it is compressed with; the first of each is the default. */
export const DUMP_FORMATS = ['plain', 'custom'] as const;
export type DumpFormat = (typeof DUMP_FORMATS)[number];
export const COMPRESSIONS = ['gzip', 'zstd', 'none'] as const;
export type Compression = (typeof COMPRESSIONS)[number];
