import { createHash } from 'node:crypto';
import { backupTimestamp, manifestKey, objectKey, renderManifest, type Manifest } from '@neon-fleet/shared/backups';

import { MemoryStore } from '../../../packages/shared/test/support/memory-store.js';

/** A bucket in memory with backups of which only what lists, prunes and finds them needs is true. */
export class StoredBackups extends MemoryStore {
  readonly prefix = 'fleet/';

  /** Adds a backup. @returns its key */
  add(projectId: string, name: string, at: Date, options: { database?: string; digits?: number } = {}): string {
    const { database = 'neondb', digits } = options;
    const timestamp = backupTimestamp(at, digits === undefined ? undefined : () => digits);
    const key = objectKey(this.prefix, { projectId, database, timestamp });
    const body = Buffer.from(`dump of ${name}`);
    const manifest: Manifest = {
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
    };
    this.objects.set(key, { body, metadata: {} });
    this.objects.set(manifestKey(key), { body: renderManifest(manifest), metadata: {} });
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
