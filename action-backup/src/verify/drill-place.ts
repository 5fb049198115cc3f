import type { Manifest } from '@neon-fleet/shared/backups';
import type { ConnectionTarget } from '@neon-fleet/shared/postgres';

import type { ScratchServer } from './scratch-server.js';

/** An empty database for one drill, and the way to be rid of it. */
export interface DrillPlace {
  /** Where it is, for people: `PostgreSQL 17`. */
  readonly words: string;
  readonly major: number;
  readonly target: ConnectionTarget;
  /** The value of `PGSSLROOTCERT` for client programs of a major version. */
  readonly rootCertificatesFor: (libpqMajor: number) => string;
  /** PEM texts for connections of our own; undefined: the public ones. */
  readonly authorities: readonly string[] | undefined;
  /** Removes it, also when the run was told to stop. */
  release(): Promise<void>;
}

/** Makes the place for the drill of one backup. @param major of the server, at least. */
export type PlaceForDrill = (manifest: Manifest, major: number) => Promise<DrillPlace>;

/** A place in the job's own server. */
export function placesOnRunner(serverOf: (major: number) => Promise<ScratchServer>): PlaceForDrill {
  return async (_, wanted) => {
    const server = await serverOf(wanted);
    const database = await server.createDatabase();
    return {
      words: `PostgreSQL ${server.major}`,
      major: server.major,
      target: server.target(database),
      rootCertificatesFor: () => 'system',
      authorities: undefined,
      release: () => server.dropDatabase(database),
    };
  };
}
