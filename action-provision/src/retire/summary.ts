import escapeHtml from 'escape-html';

import type { DeletedProject } from './find.js';
import type { Proof } from './prove.js';

/** Until when the project can be brought back, in words. */
export function whenWords({ recoverableUntil }: DeletedProject): string {
  return recoverableUntil === undefined
    ? 'Neon does not say whether it can still be recovered'
    : `it can be recovered until ${recoverableUntil}`;
}

/** What was deleted, until when it can be brought back, and the backups that remain, for the job summary. */
export function renderRetirement(project: DeletedProject, proof: Proof | undefined): string {
  const head = `\n### Retired\n\n<p>The project <code>${escapeHtml(project.projectId)}</code> is deleted; <b>${escapeHtml(whenWords(project))}</b>. Take the tenant out of <code>fleet.yml</code>: <code>apply</code> refuses to make a new project for it as long as the old one can be recovered, and makes one after that.</p>\n`;
  if (proof === undefined) return head;
  const rows = proof.backups.map(({ database, key, sizeBytes, snapshotAt, drilledAt }) => {
    const cells = [database, key, String(sizeBytes), snapshotAt.toISOString(), drilledAt.toISOString()];
    return `<tr>${cells.map((text) => `<td>${escapeHtml(text)}</td>`).join('')}</tr>`;
  });
  const table = `<table>\n<tr><th>Database</th><th>Backup</th><th>Bytes</th><th>Of</th><th>Restored in a drill</th></tr>\n${rows.join('\n')}\n</table>\n`;
  const { otherBranches } = proof;
  if (otherBranches.length === 0) return `${head}\n${table}`;
  const names = otherBranches.map((name) => `<code>${escapeHtml(name)}</code>`).join(', ');
  return `${head}\n${table}\n<p>With it went ${otherBranches.length === 1 ? 'a branch' : 'branches'} that ${otherBranches.length === 1 ? 'is' : 'are'} not in the backups: ${names}.</p>\n`;
}
