import { fileOf, renderPendingSql } from '@neon-fleet/shared/drizzle';
import escapeHtml from 'escape-html';

import type { PendingTenant, Seen } from './look-at-all.js';

const NAMES_SHOWN = 20;
const LONGEST_SQL = 60_000;

/**
 * The part of a plan's summary that shows what would run: tenants that lack the same migrations together, the largest
 * group first, then the SQL of each migration once.
 */
export function renderPending({ pending, unseen }: Seen): string {
  const groups = new Map<string, { tags: readonly string[]; names: string[] }>();
  for (const { tenant, migrations } of pending) {
    const tags = migrations.map(({ tag }) => tag);
    const group = groups.get(tags.join('\n')) ?? { tags, names: [] };
    groups.set(tags.join('\n'), group);
    group.names.push(tenant.name);
  }
  return [
    '',
    ...(groups.size === 0 ? [] : [groupsTable([...groups.values()])]),
    ...(unseen.length === 0
      ? []
      : [
          `<p>⚠️ ${unseen.length} could not be looked at: ${unseen
            .slice(0, NAMES_SHOWN)
            .map(({ name, detail }) => `<b>${oneLine(name)}</b> (${oneLine(detail)})`)
            .join(', ')}. Carrying the plan out decides about them.</p>`,
        ]),
    ...sql(pending),
    '',
  ].join('\n');
}

function groupsTable(groups: readonly { tags: readonly string[]; names: readonly string[] }[]): string {
  const rows = groups
    .toSorted((a, b) => b.names.length - a.names.length)
    .map(({ tags, names }) => {
      const shown = names.toSorted().slice(0, NAMES_SHOWN).map(oneLine).join(', ');
      const more = names.length > NAMES_SHOWN ? ` and ${names.length - NAMES_SHOWN} more` : '';
      return `<tr><td>${tags.map((tag) => `<code>${oneLine(tag)}</code>`).join('<br>')}</td><td>${names.length}: ${shown}${more}</td></tr>`;
    });
  return `<table>\n<tr><th align="left">Would be applied</th><th align="left">To</th></tr>\n${rows.join('\n')}\n</table>\n`;
}

/** Each migration once: tenants of one folder lack the same ones, and tenants of several may lack others of the same name. */
function sql(pending: readonly PendingTenant[]): string[] {
  const texts = new Map<string, string>();
  for (const { migrations, format } of pending) {
    for (const migration of migrations) {
      const key = `${fileOf(format, migration)}\n${migration.hash}`;
      if (!texts.has(key)) texts.set(key, renderPendingSql([migration], { format }));
    }
  }
  if (texts.size === 0) return [];
  const text = [...texts.entries()]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([, migration]) => migration)
    .join('\n\n');
  const shown = text.length > LONGEST_SQL ? `${text.slice(0, LONGEST_SQL)}\n…` : text;
  // Inside of <pre> an empty line would end the HTML block.
  const lines = escapeHtml(shown).replace(/\n(?=\n)/g, '\n&#8203;');
  const title = `The SQL that would run: ${texts.size} ${texts.size === 1 ? 'migration' : 'migrations'}`;
  return [`<details><summary>${title}</summary>\n<pre>${lines}</pre>\n</details>\n`];
}

function oneLine(text: string): string {
  return escapeHtml(text.replace(/\s+/g, ' ').trim());
}
