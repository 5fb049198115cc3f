import { assess, type SchemaState } from './assessment.js';
import type { MigrationFolder } from './migrations.js';

/** Where a database stands, for deciding about going back. */
export type Standing =
  /** The folder does not explain what is recorded: what going back would take away is not known. */
  | { readonly kind: 'drift'; readonly why: string }
  | {
      readonly kind: 'seen';
      /** Tag of the newest migration that it has; undefined: it has none. */
      readonly version: string | undefined;
      /** The tags of all that it has. */
      readonly applied: ReadonlySet<string>;
    };

/** Which migrations of the folder a database has. One that was merged out of order and is missing explains itself. */
export function standingOf(folder: MigrationFolder, state: SchemaState): Standing {
  const assessment = assess(folder, state);
  if (assessment.kind === 'drift' && !assessment.onlyOutOfOrder) return { kind: 'drift', why: assessment.why };
  const missing =
    assessment.kind === 'up-to-date'
      ? []
      : assessment.kind === 'pending'
        ? assessment.pending
        : assessment.pendingWithOutOfOrder;
  const applied = folder.migrations.filter((migration) => !missing.includes(migration)).map(({ tag }) => tag);
  return { kind: 'seen', version: applied.at(-1), applied: new Set(applied) };
}

/** Whether a database is where it was before something was applied to it. */
export function isBackAt(
  standing: Standing,
  { from, applied }: { readonly from?: string | undefined; readonly applied: readonly string[] },
): boolean {
  return standing.kind === 'seen' && standing.version === from && !applied.some((tag) => standing.applied.has(tag));
}

/** What a look showed, in words that continue "but". */
export function standingWords(standing: Standing): string {
  return standing.kind === 'drift' ? standing.why : `it is at ${standing.version ?? 'no migration'}`;
}
