import escapeHtml from 'escape-html';

import { distribution, hasFailed, type FleetStatus } from './rows.js';
import { PAGE_SCRIPT } from './page-script.js';
import { PAGE_STYLE } from './page-style.js';

/**
 * The status as one HTML page that needs nothing else: no request leaves it, which its own policy enforces. The rows are
 * data for its script, so that a name can never be markup.
 */
export function renderPage(status: FleetStatus): string {
  const { rows, version, takenAt, gaps } = status;
  const failed = rows.filter(hasFailed).length;
  const behind = rows.filter(({ isBehind }) => isBehind).length;
  const unsaved = rows.filter(({ backupAt }) => backupAt === undefined).length;
  const missing = rows.filter(({ isMissing }) => isMissing).length;
  const cards = [
    card('Tenants', rows.length, ''),
    card('Last migration failed', failed, failed > 0 ? 'bad' : 'good'),
    card('Behind the fleet', behind, behind > 0 ? 'warn' : 'good'),
    card('No backup known', unsaved, unsaved > 0 ? 'warn' : 'good'),
    card('Not in Neon', missing, missing > 0 ? 'bad' : 'good'),
  ];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
<meta name="color-scheme" content="light dark">
<title>Fleet status</title>
<style>${PAGE_STYLE}</style>
</head>
<body>
<header>
<h1>Fleet status</h1>
<p>Taken ${escapeHtml(takenAt.replace('T', ' ').replace(/\.\d+Z$/, ' UTC'))}${version === undefined ? '' : ` · the fleet is at <code>${escapeHtml(version)}</code>`}</p>
</header>
<section class="cards" aria-label="Numbers">${cards.join('')}</section>
<section class="charts">${bars('Schema version', distribution(rows.map((row) => row.version)), rows.length)}${bars('Region', distribution(rows.map(({ region }) => region)), rows.length)}</section>
${gaps.map((gap) => `<p class="gap">${escapeHtml(gap)}</p>`).join('\n')}
<section>
<div class="tools">
<label>Search <input id="search" type="search" autocomplete="off" placeholder="name, key, id, region, version, status"></label>
<output id="shown" aria-live="polite"></output>
</div>
<div class="scroll"><table id="tenants"><thead><tr></tr></thead><tbody></tbody></table></div>
<noscript><p>The table needs JavaScript. The same data is in the JSON file.</p></noscript>
</section>
<script type="application/json" id="data">${dataOf(status)}</script>
<script>${PAGE_SCRIPT}</script>
</body>
</html>
`;
}

/** JSON that cannot end the element it stands in. */
function dataOf({ rows, takenAt }: FleetStatus): string {
  return JSON.stringify({ takenAt, rows })
    .replaceAll('<', '\\u003c')
    .replaceAll('\u2028', '\\u2028')
    .replaceAll('\u2029', '\\u2029');
}

function card(title: string, count: number, kind: string): string {
  return `<div class="card ${kind}"><b>${count.toLocaleString('en')}</b><span>${title}</span></div>`;
}

const MOST_BARS = 8;

function bars(title: string, counts: readonly (readonly [string, number])[], total: number): string {
  const shown = counts.slice(0, MOST_BARS);
  const rest = counts.slice(MOST_BARS).reduce((sum, [, count]) => sum + count, 0);
  const all = rest > 0 ? [...shown, [`${counts.length - MOST_BARS} others`, rest] as const] : shown;
  const lines = all.map(([value, count]) => {
    const share = total === 0 ? 0 : (count / total) * 100;
    return `<li><span class="label">${escapeHtml(value)}</span><span class="bar"><i style="width:${share.toFixed(2)}%"></i></span><span class="count">${count.toLocaleString('en')}</span></li>`;
  });
  return `<div class="chart"><h2>${title}</h2><ul>${lines.join('')}</ul></div>`;
}
