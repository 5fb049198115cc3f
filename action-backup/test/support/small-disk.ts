import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** A file system in memory that is full before long. Only root can make one, and not everywhere. */
export class SmallDisk implements Disposable {
  private constructor(readonly folder: string) {}

  /**
   * Tries whether one can be made, and leaves nothing.
   *
   * @returns why not, in words; undefined when it can
   */
  static refusal(): string | undefined {
    if (process.getuid?.() !== 0) return 'only root may mount a file system';
    try {
      SmallDisk.mount(1, 0)[Symbol.dispose]();
      return undefined;
    } catch (thrown) {
      return `this machine refuses to mount a file system: ${String(thrown)}`;
    }
  }

  /** @param uid whose it is. @throws Error where this user may not mount anything */
  static mount(megabytes: number, uid: number): SmallDisk {
    const folder = mkdtempSync(path.join(tmpdir(), 'neon-fleet-small-disk-'));
    try {
      const options = `size=${megabytes}m,uid=${uid},mode=0700`;
      execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', folder], { stdio: 'pipe' });
    } catch (thrown) {
      rmdirSync(folder);
      throw thrown;
    }
    return new SmallDisk(folder);
  }

  grow(megabytes: number): void {
    execFileSync('mount', ['-o', `remount,size=${megabytes}m`, this.folder]);
  }

  [Symbol.dispose](): void {
    // Lazily: a server that still has a file open there must not keep it mounted for good.
    execFileSync('umount', ['--lazy', this.folder]);
    rmdirSync(this.folder);
  }
}
