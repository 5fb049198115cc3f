import { createHash } from 'node:crypto';

import { backupTimestamp, manifestKey, objectKey, renderManifest, type Manifest } from '../../src/backups/index.js';
import { MemoryStore } from './memory-store.js';

/** What differs from a backup of the default database. */
export interface StoredVariant {
  readonly database?: string;
  /** The last digits of the timestamp, which are random otherwise. */
  readonly digits?: number;
  /** What is in it. */
  readonly dump?: string;
  /** What else its manifest says. */
  readonly manifest?: Partial<Manifest>;
}

/** A bucket in memory with backups of which only what lists, prunes and finds them needs is true. */
export class StoredBackups extends MemoryStore {
  constructor(readonly prefix = 'fleet/') {
    super();
  }

  /** Adds a backup. @returns its key */
  add(projectId: string, name: string, at: Date, variant: StoredVariant = {}): string {
    const { database = 'neondb', digits, dump = `dump of ${name}`, manifest } = variant;
    const timestamp = backupTimestamp(at, digits === undefined ? undefined : () => digits);
    const key = objectKey(this.prefix, { projectId, database, timestamp });
    const body = Buffer.from(dump);
    const whole: Manifest = {
      schemaVersion: 1,
      projectId,
      name,
      database,
      role: 'neondb_owner',
      key,
      format: 'plain',
      compression: 'gzip',
      sizeBytes: body.length,
      dumpBytes: 20,
      sha256: createHash('sha256').update(body).digest('hex'),
      startedAt: at.toISOString(),
      finishedAt: at.toISOString(),
      postgres: { server: '17.5', pgDump: '17.6' },
      tool: { name: 'neon-fleet', version: '0.1.0' },
      ...manifest,
    };
    this.objects.set(key, { body, metadata: {} });
    this.objects.set(manifestKey(key), { body: renderManifest(whole), metadata: {} });
    return key;
  }

  /** Adds a dump that has no manifest. @returns its key */
  addUnfinished(projectId: string, at: Date): string {
    const key = this.add(projectId, '', at);
    this.objects.delete(manifestKey(key));
    return key;
  }

  keys(): string[] {
    return [...this.objects.keys()].toSorted();
  }
}
