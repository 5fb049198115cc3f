import type { ConfigCheck } from './check-migrations.js';

/** What is wrong, one line each; empty: the migrations are as they should be. */
export function checkProblems(checks: readonly ConfigCheck[]): string[] {
  return checks.flatMap(({ config, folder, objection, schema }) => [
    ...(objection === undefined ? [] : [`${config}: drizzle-kit check objects to ${folder}`]),
    ...schemaProblem(config, schema),
  ]);
}

function schemaProblem(config: string, schema: ConfigCheck['schema']): string[] {
  switch (schema.kind) {
    case 'in-step':
      return [];
    case 'ahead':
      return [
        `${config}: the schema is ahead of the migrations; run npx drizzle-kit generate and commit what it writes`,
      ];
    case 'ahead-and-unclear':
      return [
        `${config}: the schema is ahead of the migrations, and drizzle-kit asks whether something was renamed; run npx drizzle-kit generate where you can answer, and commit what it writes`,
      ];
    case 'unknown':
      return [
        `${config}: whether the schema is ahead of the migrations could not be found out; drizzle-kit generate failed`,
      ];
  }
}

const LONGEST_SHOWN = 20_000;

/** What was found, as Markdown for the summary of the step. */
export function renderChecks(checks: readonly ConfigCheck[]): string {
  const problems = checkProblems(checks);
  const heading = problems.length === 0 ? '## ✅ Migrations checked' : '## ❌ Migrations checked';
  return [heading, ...checks.flatMap(renderCheck)].join('\n\n');
}

function renderCheck({ config, folder, objection, schema }: ConfigCheck): string[] {
  const problems = checkProblems([{ config, folder, ...(objection === undefined ? {} : { objection }), schema }]);
  return [
    `### ${escapeHtml(config)}`,
    problems.length === 0
      ? `drizzle-kit check is content with ${escapeHtml(folder)}, and the schema holds nothing that the migrations do not.`
      : problems.map((problem) => `- ${escapeHtml(problem)}`).join('\n'),
    ...(objection === undefined ? [] : [fenced(objection)]),
    ...('output' in schema ? [fenced(schema.output)] : []),
    ...(schema.kind === 'ahead' ? schema.files.map(({ sql }) => fenced(sql, 'sql')) : []),
  ];
}

function fenced(text: string, language = ''): string {
  const shown = text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}\n…` : text;
  const longestRun = Math.max(0, ...[...shown.matchAll(/`+/g)].map(([run]) => run.length));
  // A fence that is longer than any run of backticks in the text cannot be closed by it.
  const fence = '`'.repeat(Math.max(3, longestRun + 1));
  return `${fence}${language}\n${shown.trim()}\n${fence}`;
}

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
