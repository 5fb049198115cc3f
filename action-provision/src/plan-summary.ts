import { printableLine } from '@neon-fleet/shared/actions';
import escapeHtml from 'escape-html';

import { countSteps, type ProvisionPlan, type TenantStep } from './plan.js';
import type { Change } from './settings.js';

const SIGNS = { create: '🆕', update: '✏️', unchanged: '☑️', refuse: '❌' } as const;
const ORDER = ['refuse', 'create', 'update', 'unchanged'] as const;
const OPEN_ROWS = 200;
const LONGEST_CELL = 600;
const MOST_NAMES = 1_000;

/** The plan for the job summary: the counts, then a row for each tenant that differs, then what is left alone. */
export function renderPlan(plan: ProvisionPlan): string {
  const counts = countSteps(plan);
  const differing = plan.steps
    .filter(({ step }) => step !== 'unchanged')
    .toSorted((a, b) => ORDER.indexOf(a.step) - ORDER.indexOf(b.step));
  const shown = differing.slice(0, OPEN_ROWS);
  const head = `### Plan\n\n${SIGNS.create} ${counts.create} to create · ${SIGNS.update} ${counts.update} to update · ${SIGNS.unchanged} ${counts.unchanged} unchanged · ${SIGNS.refuse} ${counts.refuse} refused\n`;
  return [
    head,
    ...(shown.length === 0 ? [] : [table(shown)]),
    ...(differing.length > shown.length
      ? [`<p>${differing.length - shown.length} more are in the plan file.</p>\n`]
      : []),
    ...names(
      'left alone because the file ignores them',
      plan.ignored.map(
        ({ project, glob }) => `${cell(project.name)} <code>${cell(project.projectId)}</code> (${cell(glob)})`,
      ),
    ),
    ...names(
      'left alone because the file does not know them (unlisted)',
      plan.unlisted.map(({ name, projectId }) => `${cell(name)} <code>${cell(projectId)}</code>`),
    ),
    ...names(
      'that Neon could not describe',
      plan.unavailable.map((id) => `<code>${cell(id)}</code>`),
    ),
  ].join('\n');
}

/** The plan for the log, one line for each tenant that differs. */
export function planLines({ steps }: ProvisionPlan): string[] {
  return steps
    .filter(({ step }) => step !== 'unchanged')
    .map((step) => printableLine(`${step.step} ${step.tenant.key} (${step.tenant.name}): ${what(step).join('; ')}`));
}

function table(steps: readonly TenantStep[]): string {
  const rows = steps.map((step) => {
    const id = 'project' in step ? step.project.projectId : step.step === 'refuse' ? (step.projectId ?? '') : '';
    const where = id === '' ? '' : `<br><sub><code>${cell(id)}</code></sub>`;
    return `<tr><td><b>${cell(step.tenant.name)}</b> ${cell(step.tenant.key === step.tenant.name ? '' : step.tenant.key)}${where}</td><td>${SIGNS[step.step]}&nbsp;${step.step}</td><td>${what(step).map(cell).join('<br>')}</td></tr>`;
  });
  const head = '<tr><th align="left">Tenant</th><th align="left">Step</th><th align="left">What</th></tr>';
  return `<table>\n${head}\n${rows.join('\n')}\n</table>\n`;
}

function what(step: TenantStep): string[] {
  switch (step.step) {
    case 'create':
      return step.settings.length === 0
        ? ["with Neon's defaults"]
        : step.settings.map(({ setting, to }) => `${setting}: ${to}`);
    case 'update':
      return step.changes.map(changeWords);
    case 'unchanged':
      return [];
    case 'refuse':
      return [step.error.message, ...(step.error.hint === undefined ? [] : [step.error.hint])];
  }
}

function changeWords({ setting, from, to }: Change): string {
  return `${setting}: ${from} → ${to}`;
}

function names(words: string, items: readonly string[]): string[] {
  if (items.length === 0) return [];
  const shown = items.slice(0, MOST_NAMES).join(', ');
  const more = items.length > MOST_NAMES ? `, and ${items.length - MOST_NAMES} more` : '';
  return [
    `<details><summary>${items.length} ${items.length === 1 ? 'project' : 'projects'} ${words}</summary>\n<p>${shown}${more}</p>\n</details>\n`,
  ];
}

/** Text in one cell: escaped, on one line, of bounded length. */
function cell(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  const cut = line.length > LONGEST_CELL ? `${line.slice(0, LONGEST_CELL).replace(/[\uD800-\uDBFF]$/, '')}…` : line;
  return escapeHtml(cut);
}
