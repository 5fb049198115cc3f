import type { Branch } from '@neon-fleet/shared/neon';

/** What is known of how far back a branch can be restored by Neon itself. */
export interface HistoryFacts {
  readonly moment: Date;
  readonly now: Date;
  /** When the project was made. */
  readonly projectCreatedAt: string;
  /** Undefined when Neon does not say. */
  readonly retentionSeconds: number | undefined;
  readonly branch: Pick<Branch, 'name' | 'createdAt' | 'lastResetAt'>;
}

/** Which door leads to a moment: Neon's own history, which has every one of its moments, or the newest dump before it. */
export type Door = { readonly kind: 'instant' } | { readonly kind: 'dump'; readonly why: string };

/** The far end of the window moves on while Neon is being asked. */
const EDGE_MS = 60_000;

/** Decides which door leads to a moment. */
export function chooseDoor({ moment, now, projectCreatedAt, retentionSeconds, branch }: HistoryFacts): Door {
  if (retentionSeconds === undefined) return dump('Neon does not say how far back the history of the project reaches');
  const reachesTo = new Date(now.getTime() - retentionSeconds * 1_000 + EDGE_MS);
  if (moment < reachesTo)
    return dump(`the history of the project reaches back to ${reachesTo.toISOString()} only (${retentionSeconds} s)`);
  const begins: readonly (readonly [string, string | undefined])[] = [
    ['the project was made', projectCreatedAt],
    [`the branch ${JSON.stringify(branch.name)} was made`, branch.createdAt],
    [`the branch ${JSON.stringify(branch.name)} was last reset`, branch.lastResetAt],
  ];
  for (const [what, when] of begins) {
    if (when !== undefined && moment < new Date(when)) return dump(`${what} after that, at ${when}`);
  }
  return { kind: 'instant' };
}

function dump(why: string): Door {
  return { kind: 'dump', why };
}
