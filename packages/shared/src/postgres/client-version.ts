/** The version of a PostgreSQL program: two numbers since PostgreSQL 10. */
export interface ClientVersion {
  readonly major: number;
  readonly minor: number;
}

/** Reads `pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`; a development version counts as minor 0. */
export function parseClientVersion(text: string): ClientVersion | undefined {
  const found = /\(PostgreSQL\)\s+(\d+)(?:\.(\d+))?/.exec(text) ?? /^\s*(\d+)(?:\.(\d+))?/.exec(text);
  return found === null ? undefined : { major: Number(found[1]), minor: Number(found[2] ?? 0) };
}

export function versionWords({ major, minor }: ClientVersion): string {
  return `${major}.${minor}`;
}

/** The first minor of each major whose pg_dump writes `\restrict` and whose psql reads it (CVE-2025-8714). */
const FIRST_WITH_RESTRICT: Readonly<Record<number, number>> = { 13: 22, 14: 19, 15: 14, 16: 10, 17: 6 };

/** Whether a version's pg_dump begins its plain dumps with `\restrict`, which an older psql takes for an error. */
export function knowsRestrict({ major, minor }: ClientVersion): boolean {
  const first = FIRST_WITH_RESTRICT[major];
  return first === undefined ? major >= 18 : minor >= first;
}

/**
 * Chooses the client for a server: its own major, else the nearest newer. Never an older one, which pg_dump itself would
 * refuse. Among equals the newest minor.
 */
export function chooseClient<T extends ClientVersion>(clients: readonly T[], serverMajor: number): T | undefined {
  return clients
    .filter(({ major }) => major >= serverMajor)
    .toSorted((a, b) => a.major - b.major || b.minor - a.minor)
    .at(0);
}
