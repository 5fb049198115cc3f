import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { rootCertificates } from 'node:tls';

import { trustSource, type TrustEnvironment } from './trust.js';

/** Whose certificates the client programs are to believe, in the form that libpq takes. */
export interface LibpqTrust {
  /** The value of `PGSSLROOTCERT` for client programs of a major version. */
  rootCertificatesFor(libpqMajor: number): string;
  /** Removes what had to be written. */
  dispose(): Promise<void>;
}

export interface LibpqTrustEnvironment extends TrustEnvironment {
  readonly RUNNER_TEMP?: string | undefined;
}

/** Where distributions keep the public authorities in one file: Debian, Red Hat, Alpine and macOS. */
const SYSTEM_BUNDLES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/cert.pem',
] as const;

/** The first libpq that knows `sslrootcert=system`. */
const KNOWS_SYSTEM = 16;

/**
 * Prepares the trust of client programs by the same rule as our own connections' (`trustSource`).
 *
 * libpq takes one file: where the public authorities and those of a file are meant, or the machine has no public ones,
 * a file with all of them is written to the runner's temporary folder. Certificates are public; nothing secret is in it.
 */
export async function prepareLibpqTrust(
  env: LibpqTrustEnvironment,
  systemBundles: readonly string[] = SYSTEM_BUNDLES,
): Promise<LibpqTrust> {
  const source = trustSource(env);
  if (source.kind === 'file') return fixed(source.path);
  if (source.kind === 'public') {
    const bundle = await firstThere(systemBundles);
    if (bundle !== undefined) {
      return { rootCertificatesFor: (major) => (major >= KNOWS_SYSTEM ? 'system' : bundle), dispose: nothing };
    }
  }
  const extra = source.kind === 'public-and-file' ? [await readFile(source.path, 'utf8')] : [];
  return written([...rootCertificates, ...extra], env.RUNNER_TEMP ?? tmpdir());
}

function fixed(file: string): LibpqTrust {
  return { rootCertificatesFor: () => file, dispose: nothing };
}

async function written(certificates: readonly string[], parent: string): Promise<LibpqTrust> {
  const folder = await mkdtemp(path.join(parent, 'neon-fleet-authorities-'));
  const file = path.join(folder, 'authorities.pem');
  await writeFile(file, certificates.join('\n'));
  return { rootCertificatesFor: () => file, dispose: () => rm(folder, { recursive: true, force: true }) };
}

async function firstThere(files: readonly string[]): Promise<string | undefined> {
  for (const file of files) {
    const there = await stat(file).then(
      (found) => found.isFile(),
      () => false,
    );
    if (there) return file;
  }
  return undefined;
}

async function nothing(): Promise<void> {
  // There is nothing to remove.
}
