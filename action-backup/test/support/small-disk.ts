import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** A file system in memory that is full before long. Only root can make one. */
export class SmallDisk implements Disposable {
  private constructor(readonly folder: string) {}

  /** @param owner whose it is, by name. @returns undefined where this user may not mount anything */
  static mount(megabytes: number, owner: string): SmallDisk | undefined {
    if (process.getuid?.() !== 0) return undefined;
    const folder = mkdtempSync(path.join(tmpdir(), 'neon-fleet-small-disk-'));
    const uid = execFileSync('id', ['-u', owner]).toString().trim();
    try {
      const options = `size=${megabytes}m,uid=${uid},mode=0700`;
      execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', folder], { stdio: 'ignore' });
    } catch {
      rmdirSync(folder);
      return undefined;
    }
    return new SmallDisk(folder);
  }

  grow(megabytes: number): void {
    execFileSync('mount', ['-o', `remount,size=${megabytes}m`, this.folder]);
  }

  [Symbol.dispose](): void {
    execFileSync('umount', [this.folder]);
    rmdirSync(this.folder);
  }
}
