import type { FinishedAction } from '@neon-fleet/local-runner';

/**
 * The places where a secret shows although nothing may show it: the log without the commands that mask, the job summary,
 * the report, and the outputs that are not secrets themselves.
 */
export function placesThatShow(
  secret: string,
  finished: FinishedAction,
  secretOutputs: readonly string[] = [],
): string[] {
  const places: Record<string, string> = {
    log: finished.log
      .split('\n')
      .filter((line) => !line.startsWith('::add-mask::'))
      .join('\n'),
    summary: finished.summary,
    report: finished.report ?? '',
    ...Object.fromEntries(
      Object.entries(finished.outputs)
        .filter(([name]) => !secretOutputs.includes(name))
        .map(([name, value]) => [`output ${name}`, value]),
    ),
  };
  return Object.entries(places)
    .filter(([, text]) => text.includes(secret))
    .map(([place]) => place);
}

/** The passwords of the connection URIs that a step had masked. */
export function passwordsSeenBy(finished: FinishedAction): string[] {
  return [
    ...new Set(
      finished.masks
        .filter((mask) => /^postgres(ql)?:\/\//.test(mask))
        .map((mask) => new URL(mask).password)
        .filter((password) => password !== ''),
    ),
  ];
}
