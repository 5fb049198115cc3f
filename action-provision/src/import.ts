import {
  parseFleetFile,
  resolveFleet,
  selectTenants,
  type DesiredTenant,
  type FleetFile,
  type FleetTenant,
} from '@neon-fleet/shared/fleet';
import type { ProjectState, StateListing } from '@neon-fleet/shared/neon';
import { isMap, isSeq, parseDocument, Scalar, type Document, type YAMLSeq } from 'yaml';

import { changesOf, settingsInFile, type FileValue } from './settings.js';

/** What became of one project. */
export interface ImportedProject {
  readonly project: ProjectState;
  /** Added as a tenant; given its id; put under ignored; or in the file already. */
  readonly what: 'added' | 'identified' | 'doubtful' | 'known';
  readonly detail: string;
}

export interface Imported {
  readonly text: string;
  readonly projects: readonly ImportedProject[];
}

/** The settings that a new file states for everybody, by the value that most projects have. */
const COMMON = ['region', 'postgres', 'autoscaling.min', 'autoscaling.max', 'history-retention'] as const;

const HEADER = ` yaml-language-server: $schema=https://raw.githubusercontent.com/org/neon-fleet/v1/fleet.schema.json`;

/**
 * Writes the projects of an organisation into a fleet file, so that a plan of it proposes no change: each with key, name
 * and id, and with what deviates from defaults and groups. What stands in the file already stays as it is, with its
 * comments and its order. Projects that may be none of the fleet come under `ignored`, with the reason.
 *
 * @throws FleetFileError when the file that is there cannot be used.
 */
export function importProjects(text: string, listing: StateListing, fileName = 'fleet.yml'): Imported {
  const before = parseFleetFile(text, fileName);
  const document = parseDocument(text);
  if (text.trim() === '') document.commentBefore = HEADER;
  if (!isMap(document.contents)) document.contents = document.createNode({}) as never;

  const unknown = splitKnown(before, listing.projects);
  const doubts = doubtsAbout(unknown.rest, before);
  const clear = unknown.rest.filter((project) => !doubts.has(project.projectId)).toSorted(bySeniority);
  if (before.tenants.length === 0 && Object.keys(before.defaults).length === 0 && clear.length > 0) {
    setIn(document, ['defaults'], commonSettings(clear));
  }
  const defaults = parseFleetFile(String(document), fileName);
  const keys = new KeyMaker(before);
  const added = clear.map((project) => ({ project, entry: entryFor(project, keys.make(project), defaults) }));

  for (const { index, project } of unknown.identified)
    document.setIn(['tenants', index, 'project-id'], project.projectId);
  const tenants = sequence(document, 'tenants', added.length);
  for (const { entry } of added) tenants?.add(document.createNode(entry));
  const ignored = sequence(document, 'ignored', doubts.size);
  for (const [projectId, { name, reason }] of doubts) {
    const item = new Scalar(projectId);
    item.comment = ` ${oneLine(name)}: ${reason}`;
    ignored?.add(item);
  }

  return {
    text: document.toString({ lineWidth: 0 }),
    projects: [
      ...added.map(({ project, entry }) => ({ project, what: 'added' as const, detail: `added as ${entry.key}` })),
      ...unknown.identified.map(({ project }) => ({
        project,
        what: 'identified' as const,
        detail: 'its project-id was filled in',
      })),
      ...unknown.rest.flatMap((project) => {
        const doubt = doubts.get(project.projectId);
        return doubt === undefined
          ? []
          : [{ project, what: 'doubtful' as const, detail: `put under ignored: ${doubt.reason}` }];
      }),
      ...unknown.known.map((project) => ({ project, what: 'known' as const, detail: 'in the file already' })),
    ],
  };
}

/** Holds the projects against the file that is there. */
function splitKnown({ tenants, ignored }: FleetFile, projects: readonly ProjectState[]) {
  const ids = new Set(tenants.map((tenant) => tenant['project-id']));
  const selectable = projects.map((project) => ({
    key: '',
    name: project.name,
    projectId: project.projectId,
    project,
  }));
  const taken = new Set(selectTenants(selectable, ignored).selected.map(({ project }) => project));
  const names = new Map(
    tenants.flatMap((tenant, index) =>
      tenant['project-id'] === undefined ? [[tenant.name ?? tenant.key, index]] : [],
    ),
  );
  const isNamed = (project: ProjectState) =>
    !taken.has(project) && !ids.has(project.projectId) && names.has(project.name);
  const counts = countBy(projects.filter(isNamed).map(({ name }) => name));
  const identified = projects.flatMap((project) => {
    const index = names.get(project.name);
    return index === undefined || !isNamed(project) || counts.get(project.name) !== 1 ? [] : [{ project, index }];
  });
  const known = projects.filter((project) => ids.has(project.projectId) || taken.has(project));
  const settled = new Set([...known, ...identified.map(({ project }) => project)]);
  return { known, identified, rest: projects.filter((project) => !settled.has(project)) };
}

interface Doubt {
  readonly name: string;
  readonly reason: string;
}

const NOT_A_CUSTOMER =
  /^(staging|stage|test|tests|testing|dev|development|preview|demo|internal|tool|tools|sandbox|template|tmp|temp|scratch|ci|catalog)([-_ ./]|\d|$)/i;
// eslint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u001f\u007f]/;

/** Projects that nobody should take for a tenant without having looked, by id. */
function doubtsAbout(projects: readonly ProjectState[], { tenants }: FleetFile): Map<string, Doubt> {
  const counts = countBy(projects.map(({ name }) => name));
  const names = new Set(tenants.map(({ key, name = key }) => name));
  return new Map(
    projects.flatMap(({ projectId, name }) => {
      const reason = doubtAbout(name, counts.get(name) ?? 1, names);
      return reason === undefined ? [] : [[projectId, { name, reason }] as const];
    }),
  );
}

function doubtAbout(name: string, count: number, names: ReadonlySet<string>): string | undefined {
  if (name === '' || name.length > 256 || CONTROL.test(name)) return 'its name cannot stand in this file';
  if (count > 1) return `${count} projects are called that`;
  if (names.has(name)) return 'a tenant of this file is called that';
  return NOT_A_CUSTOMER.test(name) ? 'its name does not look like that of a customer' : undefined;
}

/** Makes keys out of names: short, readable, and each of them once. */
class KeyMaker {
  readonly #used: Set<string>;

  constructor(private readonly file: FleetFile) {
    this.#used = new Set(file.tenants.map(({ key }) => key.toLowerCase()));
  }

  make({ name, projectId }: ProjectState): string {
    const slug = name
      .normalize('NFKD')
      .replace(/\p{M}/gu, '')
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, '-')
      .replace(/^-+|-+$/g, '')
      .slice(0, 60);
    const isUsable =
      slug !== '' && selectTenants([{ key: slug, name: '', projectId: '' }], this.file.ignored).selected.length === 0;
    const base = isUsable ? slug : projectId;
    let key = base;
    for (let number = 2; this.#used.has(key); number += 1) key = `${base}-${number}`;
    this.#used.add(key);
    return key;
  }
}

/** A tenant's entry: with what its project has and neither defaults nor groups give. */
function entryFor(project: ProjectState, key: string, file: FleetFile): Record<string, unknown> & { key: string } {
  const { name, projectId } = project;
  const tenant: FleetTenant = { key, name, 'project-id': projectId };
  const [resolved] = resolveFleet({ ...file, tenants: [tenant] });
  const own = resolved === undefined ? {} : deviations(resolved, project);
  return { key, ...(name === key ? {} : { name }), 'project-id': projectId, ...own };
}

function deviations(resolved: DesiredTenant, project: ProjectState): Record<string, unknown> {
  const differing = new Set(changesOf(resolved, project).map(({ setting }) => setting));
  const { region, postgres } = resolved.settings;
  const own: Record<string, unknown> = {};
  for (const { setting, value, isNeonsDefault } of settingsInFile(project)) {
    const isUnset =
      setting === 'region'
        ? region === undefined
        : setting === 'postgres'
          ? postgres === undefined
          : !isWanted(resolved, setting);
    const differs =
      setting === 'region' ? region !== value : setting === 'postgres' ? postgres !== value : differing.has(setting);
    if (isUnset ? !isNeonsDefault : differs) put(own, setting, value);
  }
  // These are written whole: half of one would take the other half from nowhere.
  if (own['allowed-ips'] !== undefined) own['allowed-ips'] = whole(project, 'allowed-ips');
  return own;
}

function isWanted({ settings }: DesiredTenant, setting: string): boolean {
  let place: unknown = settings;
  for (const part of setting.split('.'))
    place = typeof place === 'object' && place !== null ? Reflect.get(place, part) : undefined;
  return place !== undefined;
}

function whole(project: ProjectState, part: string): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const { setting, value } of settingsInFile(project)) {
    const [first, second] = setting.split('.');
    if (first === part && second !== undefined) values[second] = value;
  }
  return values;
}

function put(target: Record<string, unknown>, setting: string, value: FileValue): void {
  const [first = '', second] = setting.split('.');
  if (second === undefined) target[first] = value;
  else target[first] = { ...(target[first] as object | undefined), [second]: value };
}

/** What most of the projects have. */
function commonSettings(projects: readonly ProjectState[]): Record<string, unknown> {
  const defaults: Record<string, unknown> = {};
  for (const setting of COMMON) {
    const values = projects.flatMap((project) =>
      settingsInFile(project)
        .filter((each) => each.setting === setting)
        .map(({ value }) => value),
    );
    const [most] = [...countBy(values)].toSorted(([, a], [, b]) => b - a);
    if (most !== undefined) put(defaults, setting, most[0]);
  }
  return defaults;
}

function sequence(document: Document, key: string, needed: number): YAMLSeq | undefined {
  const there: unknown = document.get(key);
  if (isSeq(there)) {
    // A list in one line becomes one with a line for each, or its comments would have no place.
    if (needed > 0 && key === 'ignored') there.flow = false;
    return there;
  }
  if (needed === 0) return undefined;
  const made = document.createNode([]) as YAMLSeq;
  document.set(key, made);
  return made;
}

function setIn(document: Document, at: readonly string[], value: unknown): void {
  document.setIn(at, document.createNode(value));
}

function countBy<T>(values: readonly T[]): Map<T, number> {
  const counts = new Map<T, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return counts;
}

function bySeniority(a: ProjectState, b: ProjectState): number {
  return Date.parse(a.createdAt) - Date.parse(b.createdAt) || (a.projectId < b.projectId ? -1 : 1);
}

/** For a comment: one line, of bounded length, that cannot end it. */
function oneLine(text: string): string {
  // eslint-disable-next-line no-control-regex
  const line = text.replace(/[\s\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ').trim();
  return JSON.stringify(line.length > 80 ? `${line.slice(0, 80)}…` : line);
}
