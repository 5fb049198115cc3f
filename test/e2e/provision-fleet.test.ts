import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { FinishedAction } from '@neon-fleet/local-runner';
import { createApiClient } from '@neondatabase/api-client';

import { TestFleet, outcomeOf, statuses } from '../support/fleet.js';
import { GUIDE_TABLES, writeMigrations } from '../support/migrations.js';

let fleet: TestFleet;
let migrations: string;
let count = 0;

beforeAll(async () => {
  fleet = await TestFleet.start();
  migrations = await writeMigrations(path.join(fleet.folder, 'drizzle'), { '0000_init': GUIDE_TABLES });
});
afterAll(async () => {
  await fleet[Symbol.asyncDispose]();
});
beforeEach(() => {
  fleet.neon.faults.clear();
  count += 1;
});

/** Writes a fleet file of its own for each test. */
async function fleetFile(text: string): Promise<string> {
  const file = path.join(fleet.folder, `fleet-${count}.yml`);
  await writeFile(file, text);
  return file;
}

async function provision(text: string, inputs: Record<string, string> = {}): Promise<FinishedAction> {
  return fleet.run('provision', { 'fleet-file': await fleetFile(text), concurrency: '8', ...inputs });
}

function api() {
  return createApiClient({ apiKey: fleet.neon.apiKey, baseURL: fleet.neon.apiUrl });
}

/** All projects whose name begins so, as the API shows them. */
async function projectsNamed(prefix: string) {
  const found = [];
  let cursor: string | undefined;
  do {
    const { data } = await api().listProjects({ limit: 400, ...(cursor === undefined ? {} : { cursor }) });
    found.push(...data.projects.filter(({ name }) => name.startsWith(prefix)));
    cursor = data.projects.length === 0 ? undefined : data.pagination?.cursor;
  } while (cursor !== undefined);
  return found;
}

/** The requests since a moment that change something. */
function writesSince(start: number) {
  return fleet.neon
    .requests()
    .slice(start)
    .filter(({ method }) => method !== 'GET');
}

describe('a plan', () => {
  test('shows what would be done and does nothing', async () => {
    const name = `plan-${count}`;
    await fleet.neon.seedProjects([`${name} ACME`, `${name} stranger`, `${name} staging-1`]);
    const before = fleet.neon.requests().length;
    const run = await provision(
      `
defaults: { history-retention: 7d, quota: { compute-time: 100h } }
tenants:
  - { key: ${name}-acme, name: ${name} ACME }
  - { key: ${name}-new, name: "${name} <b>New</b>", region: aws-eu-central-1 }
ignored: ["${name} staging-*"]
`,
      { command: 'plan' },
    );
    expect(run.log).toContain('provision');
    expect(run.exitCode).toBe(0);
    expect(writesSince(before)).toEqual([]);
    expect(run.outputs).toMatchObject({ verdict: 'succeeded', changes: '2' });
    expect(run.summary).toContain('1 to create');
    expect(run.summary).toContain('1 to update');
    expect(run.summary).toMatch(/history-retention: 1d → 7d/);
    expect(run.summary).toMatch(/quota.compute-time: unlimited → 100h/);
    expect(run.summary).toContain(`${name} stranger`);
    expect(run.summary).toContain('&lt;b&gt;New&lt;/b&gt;');
    expect(run.summary).not.toContain('<b>New</b>');
    expect(run.summary).toMatch(/ignores them[\s\S]*staging-1/);
  });

  test('names the line of a mistake and does nothing', async () => {
    const before = fleet.neon.requests().length;
    const run = await provision('tenants:\n  - key: acme\n    regoin: x\n', { command: 'plan' });
    expect(run.exitCode).toBe(1);
    expect(run.log).toMatch(/:3:5: unknown key "regoin"; did you mean region\?/);
    expect(fleet.neon.requests().length).toBe(before);
  });
});

describe('a fleet file', () => {
  const settings = `
defaults:
  history-retention: 7d
  autoscaling: { min: 0.5, max: 4 }
  suspend-after: 10m
  quota: { compute-time: 100h, logical-size: 5GiB }
  allowed-ips: { ips: [127.0.0.1, "::1", 192.0.2.0/24] }
  logical-replication: true
  maintenance-window: { weekdays: [sat, sun], start: "02:00", end: "03:00" }
`;

  test('creates tenants with their settings, changes what exists, and then has nothing to do', async () => {
    const name = `conv-${count}`;
    const [existing = ''] = await fleet.neon.seedProjects([`${name} old`]);
    const text = `${settings}
tenants:
  - { key: ${name}-old, name: "${name} old" }
  - { key: ${name}-new, name: "${name} new", region: aws-eu-central-1, postgres: 16 }
`;
    const first = await provision(text, { 'migrations-folder': migrations });
    expect(statuses(first)).toEqual({ [`${name} old`]: 'succeeded', [`${name} new`]: 'succeeded' });

    for (const project of await projectsNamed(name)) {
      expect(project).toMatchObject({
        history_retention_seconds: 604_800,
        default_endpoint_settings: {
          autoscaling_limit_min_cu: 0.5,
          autoscaling_limit_max_cu: 4,
          suspend_timeout_seconds: 600,
        },
        settings: {
          quota: { compute_time_seconds: 360_000, logical_size_bytes: 5 * 2 ** 30 },
          allowed_ips: { ips: ['127.0.0.1', '::1', '192.0.2.0/24'] },
          enable_logical_replication: true,
          maintenance_window: { weekdays: [6, 7], start_time: '02:00', end_time: '03:00' },
        },
      });
      expect(await fleet.tables(project.id)).toContain('public.tasks');
    }
    // The compute that customers are on too, and not only the ones to come.
    const { data } = await api().listProjectEndpoints(existing);
    expect(data.endpoints).toMatchObject([
      { autoscaling_limit_min_cu: 0.5, autoscaling_limit_max_cu: 4, suspend_timeout_seconds: 600 },
    ]);

    const before = fleet.neon.requests().length;
    const second = await provision(text, { ready: 'created' });
    expect(second.outputs).toMatchObject({ verdict: 'succeeded', unchanged: '2', changes: '0' });
    expect(writesSince(before)).toEqual([]);
    expect(fleet.neon.requests().length - before).toBeLessThanOrEqual(3);
  });

  test('changes only what somebody set', async () => {
    const name = `only-${count}`;
    const [id = ''] = await fleet.neon.seedProjects([name]);
    await api().updateProject(id, {
      project: {
        settings: { quota: { data_transfer_bytes: 7, compute_time_seconds: 8 } },
        history_retention_seconds: 3_600,
      },
    });
    const run = await provision(`tenants:\n  - { key: ${name}-a, name: ${name}, quota: { compute-time: 1h } }\n`);
    expect(outcomeOf(run, name)).toMatchObject({ status: 'succeeded' });
    const [project] = await projectsNamed(name);
    expect(project?.settings?.quota).toEqual({ data_transfer_bytes: 7, compute_time_seconds: 3_600 });
    expect(project?.history_retention_seconds).toBe(3_600);
  });

  test('renames a project by its id', async () => {
    const name = `ren-${count}`;
    const [id = ''] = await fleet.neon.seedProjects([`${name} one`]);
    const run = await provision(`tenants:\n  - { key: one, name: ${name} eins, project-id: ${id} }\n`);
    expect(outcomeOf(run, `${name} eins`).detail).toContain(`name: "${name} one" → "${name} eins"`);
    const projects = await projectsNamed(name);
    expect(projects.map((project) => [project.id, project.name])).toEqual([[id, `${name} eins`]]);
  });

  test('makes no second project when a name was changed and the id is not known', async () => {
    const name = `ren-${count}`;
    await provision(`tenants:\n  - { key: ${name}, name: ${name} two }\n`);
    const [project] = await projectsNamed(name);
    const id = project?.id ?? '';
    const changed = `tenants:\n  - { key: ${name}, name: ${name} zwei }\n`;
    const run = await provision(changed);
    expect(outcomeOf(run, `${name} zwei`)).toMatchObject({
      status: 'failed',
      detail: expect.stringContaining('no second one was created'),
      error: { hint: expect.stringContaining(`project-id: ${id}`) },
    });
    expect(await projectsNamed(name)).toMatchObject([{ id, name: `${name} two` }]);
    // Another fleet of the organisation may use the same key: its projects are ignored by name or id.
    const other = await provision(`${changed}ignored: [${id}]\n`);
    expect(statuses(other)).toEqual({ [`${name} zwei`]: 'succeeded' });
  });

  test('says what to do about what cannot be changed, and does the rest', async () => {
    const name = `fix-${count}`;
    await fleet.neon.seedProjects([`${name} a`, `${name} b`]);
    const run = await provision(`
tenants:
  - { key: ${name}-a, name: ${name} a, region: aws-eu-central-1, postgres: 16, history-retention: 7d }
  - { key: ${name}-b, name: ${name} b, history-retention: 7d }
`);
    expect(run.exitCode).toBe(1);
    expect(outcomeOf(run, `${name} a`)).toMatchObject({
      status: 'failed',
      detail: expect.stringMatching(
        /it is in aws-us-east-1, not in aws-eu-central-1 and it runs PostgreSQL 17, not 16/,
      ),
      error: { hint: expect.stringContaining('move the data') },
    });
    expect(outcomeOf(run, `${name} b`).status).toBe('succeeded');
    const retention = (await projectsNamed(name)).map((project) => project.history_retention_seconds);
    expect(retention.toSorted()).toEqual([604_800, 86_400].toSorted());
  });

  test('never touches a project that it does not know', async () => {
    const name = `str-${count}`;
    const [stranger = ''] = await fleet.neon.seedProjects([`${name} stranger`]);
    const before = fleet.neon.requests().length;
    await provision(`defaults: { history-retention: 7d }\ntenants:\n  - { key: ${name}-a, name: ${name} a }\n`);
    expect(writesSince(before).filter(({ path: at }) => at.includes(stranger))).toEqual([]);
  });

  test('finishes a change whose answer was lost', async () => {
    const name = `lost-${count}`;
    await fleet.neon.seedProjects([name]);
    fleet.neon.faults.set(
      { kind: 'lost-answer', path: 'updateProject', times: 1 },
      { kind: 'lost-answer', path: 'updateProjectEndpoint', times: 1 },
    );
    const run = await provision(`tenants:\n  - { key: ${name}-a, name: ${name}, autoscaling: { max: 8 } }\n`);
    expect(statuses(run)).toEqual({ [name]: 'succeeded' });
    const [project] = await projectsNamed(name);
    expect(project?.default_endpoint_settings?.autoscaling_limit_max_cu).toBe(8);
  });

  test('selects tenants by key, and refuses a glob that selects nobody', async () => {
    const name = `sel-${count}`;
    const text = `tenants:\n  - { key: ${name}-a, name: ${name} a }\n  - { key: ${name}-b, name: ${name} b }\n`;
    const run = await provision(text, { tenants: '*-a' });
    expect(statuses(run)).toEqual({ [`${name} a`]: 'succeeded' });
    expect((await projectsNamed(name)).map((project) => project.name)).toEqual([`${name} a`]);
    const typo = await provision(text, { tenants: 'c' });
    expect(typo.exitCode).toBe(1);
    expect(typo.log).toContain('nobody in the fleet file matches "c"');
    // Whoever is to be left out and is misspelled would be worked on.
    const slip = await provision(text, { tenants: `*\n!${name}-bb` });
    expect(slip.exitCode).toBe(1);
    expect(slip.log).toContain(`nobody in the fleet file matches "!${name}-bb"; nothing was done`);
    expect(await projectsNamed(name)).toHaveLength(1);
  });

  test('takes a hostile name as data, from the file to the summary', async () => {
    const hostile = `h${count} $(touch /tmp/never) '"; DROP TABLE x;-- 🦊/../<script>` + 'ä'.repeat(100);
    const name = hostile.padEnd(256, 'x');
    const run = await provision(`tenants:\n  - { key: h${count}, name: ${JSON.stringify(name)} }\n`, {
      'migrations-folder': migrations,
    });
    expect(statuses(run)).toEqual({ [name]: 'succeeded' });
    expect((await projectsNamed(`h${count} `)).map((project) => project.name)).toEqual([name]);
    expect(run.summary).not.toContain('<script>');
    const again = await provision(`tenants:\n  - { key: h${count}, name: ${JSON.stringify(name)} }\n`);
    expect(statuses(again)).toEqual({ [name]: 'unchanged: up-to-date' });
  });

  test('gives a new tenant its extensions and its seed once', async () => {
    const name = `seed-${count}`;
    const seed = path.join(fleet.folder, 'seed.sql');
    await writeFile(seed, "INSERT INTO users (name) VALUES ('first'), ('second')");
    const text = `tenants:\n  - { key: ${name}-a, name: ${name}, extensions: [citext] }\n`;
    const inputs = { 'migrations-folder': migrations, 'seed-sql': seed };
    const first = await provision(text, inputs);
    expect(outcomeOf(first, name).detail).toMatch(/citext.*seeded|seeded/);
    await writeFile(seed, "INSERT INTO users (name) VALUES ('third')");
    const second = await provision(text, inputs);
    expect(statuses(second)).toEqual({ [name]: 'unchanged: up-to-date' });
    const id = first.outputs['project-id'] ?? '';
    expect(await fleet.query(id, 'SELECT count(*)::int AS n FROM users')).toEqual([{ n: 2 }]);
    expect(await fleet.query(id, "SELECT extname FROM pg_extension WHERE extname = 'citext'")).toHaveLength(1);
  });
});

describe('a creation', () => {
  function twenty(prefix: string): string {
    const tenants = Array.from(
      { length: 20 },
      (_, index) => `  - { key: ${prefix}-${index}, name: "${prefix} ${index}" }`,
    );
    return `tenants:\n${tenants.join('\n')}\n`;
  }

  async function expectWhole(prefix: string): Promise<void> {
    const projects = await projectsNamed(`${prefix} `);
    expect(projects.map(({ name }) => name).toSorted()).toEqual(
      Array.from({ length: 20 }, (_, index) => `${prefix} ${index}`).toSorted(),
    );
    for (const { id } of projects) expect(await fleet.tables(id)).toContain('public.tasks');
  }

  const creations = (start: number) =>
    fleet.neon
      .requests()
      .slice(start)
      .filter(({ method, path: at }) => method === 'POST' && at.endsWith('/projects')).length;

  test.each([1, 3, 5, 7, 9, 11, 13, 15, 17, 19])(
    'of 20 tenants that is killed after %d of them is finished by the next run, without a duplicate',
    async (moment) => {
      const prefix = `kill${moment}-${count}`;
      const before = fleet.neon.requests().length;
      const file = await fleetFile(twenty(prefix));
      const inputs = { 'fleet-file': file, 'migrations-folder': migrations, concurrency: '4' };
      const run = await fleet.start('provision', inputs);
      while (run.process.exitCode === null && creations(before) < moment) await delay(1);
      expect(run.process.exitCode).toBeNull();
      run.process.kill('SIGKILL');
      expect((await run.finished).signal).toBe('SIGKILL');

      const again = await fleet.run('provision', inputs);
      expect(again.outputs['verdict']).toBe('succeeded');
      await expectWhole(prefix);
    },
  );

  test('whose answers are lost three times in ten makes no duplicate', async () => {
    const prefix = `flaky-${count}`;
    fleet.neon.faults.seed(count);
    fleet.neon.faults.set({ kind: 'lost-answer', path: 'createProject', probability: 0.3 });
    const run = await provision(twenty(prefix), { 'migrations-folder': migrations });
    expect(run.outputs).toMatchObject({ verdict: 'succeeded', succeeded: '20' });
    expect(run.log).toContain('looking whether the project was created all the same');
    await expectWhole(prefix);
  });

  test('by two processes at once, with a list that is late, leaves one project a tenant', async () => {
    const prefix = `race-${count}`;
    fleet.neon.faults.set({ kind: 'delayed-listing', ms: 1_500 }, { kind: 'latency', path: 'createProject', ms: 300 });
    const inputs = {
      'fleet-file': await fleetFile(twenty(prefix)),
      'migrations-folder': migrations,
      concurrency: '20',
      'lock-wait': '60s',
    };
    const before = fleet.neon.requests().length;
    const [one, two] = await Promise.all([fleet.run('provision', inputs), fleet.run('provision', inputs)]);
    // Otherwise there was no race to settle.
    expect(creations(before)).toBeGreaterThan(20);
    expect([one.outputs['verdict'], two.outputs['verdict']]).toEqual(['succeeded', 'succeeded']);
    expect(`${one.log}${two.log}`).toContain('at the same time, and before; removing');
    fleet.neon.faults.clear();
    await expectWhole(prefix);
  });

  test('in a region that Neon does not have is refused before anything is created', async () => {
    const name = `region-${count}`;
    const before = fleet.neon.requests().length;
    const run = await provision(`tenants:\n  - { key: ${name}-a, name: ${name}, region: aws-moon-1 }\n`);
    expect(outcomeOf(run, name)).toMatchObject({
      status: 'failed',
      detail: expect.stringContaining('no region "aws-moon-1"'),
    });
    expect(creations(before)).toBe(0);
  });

  test('that the key may not do says what to do', async () => {
    const name = `refused-${count}`;
    fleet.neon.faults.set({ kind: 'status', path: 'createProject', status: 403 });
    const run = await provision(`tenants:\n  - { key: ${name}-a, name: ${name} }\n`);
    expect(run.exitCode).toBe(1);
    expect(outcomeOf(run, name).detail).toContain('this API key may not create projects');
  });
});

describe('an import', () => {
  test('of an organisation of 500 leaves a plan nothing to change', async () => {
    await using organisation = await TestFleet.start();
    const names = Array.from({ length: 500 }, (_, index) =>
      `Customer ${index} ${index % 7 === 0 ? '"$(x)" # é' : ''}`.trim(),
    );
    const ids = await organisation.neon.seedProjects([...names, 'staging-1', 'Twin', 'Twin']);
    const client = createApiClient({ apiKey: organisation.neon.apiKey, baseURL: organisation.neon.apiUrl });
    for (const id of ids.slice(0, 40)) {
      await client.updateProject(id, {
        project: {
          history_retention_seconds: 604_800,
          settings: { quota: { compute_time_seconds: 360_000 }, allowed_ips: { ips: ['10.0.0.1'] } },
        },
      });
    }
    const file = path.join(organisation.folder, 'fleet.yml');
    const before = organisation.neon.requests().length;
    const imported = await organisation.run('provision', { command: 'import', 'fleet-file': file });
    expect(imported.outputs).toMatchObject({ verdict: 'succeeded', succeeded: '503' });
    const plan = await organisation.run('provision', { command: 'plan', 'fleet-file': file });
    expect(plan.outputs).toMatchObject({ verdict: 'succeeded', unchanged: '500', changes: '0' });
    const text = await readFile(file, 'utf8');
    await organisation.run('provision', { command: 'import', 'fleet-file': file });
    expect(await readFile(file, 'utf8')).toBe(text);
    const after = organisation.neon.requests().slice(before);
    expect(after.filter(({ method }) => method !== 'GET')).toEqual([]);
  });
});
