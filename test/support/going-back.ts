import { writeFile } from 'node:fs/promises';
import path from 'node:path';

import type { FinishedAction } from '@neon-fleet/local-runner';
import { createApiClient, type Branch } from '@neondatabase/api-client';

import type { TestFleet } from './fleet.js';
import { writeMigrations } from './migrations.js';

export const NOTES = ['CREATE TABLE notes (id int PRIMARY KEY, text text NOT NULL)'];
export const DROPS = ['ALTER TABLE notes DROP COLUMN text'];
export const FAILS = ['SELECT 1 / (SELECT count(*) FROM notes WHERE id < 0)'];

/** The tenants of one test, with a folder of migrations of their own. */
export class Tenants {
  private constructor(
    private readonly fleet: TestFleet,
    /** Matches all of them. */
    readonly tenants: string,
    /** Their projects, in the order of their names. */
    readonly ids: readonly string[],
    readonly migrationsFolder: string,
  ) {}

  /** Makes tenants that are at the first migration, with a row of a customer's each. */
  static async seed(fleet: TestFleet, prefix: string, ...names: string[]): Promise<Tenants> {
    const ids = await fleet.neon.seedProjects(names.map((name) => `${prefix} ${name}`));
    const made = new Tenants(fleet, `${prefix} *`, ids, path.join(fleet.folder, `drizzle-${prefix}`));
    await made.write({});
    await fleet.run('migrate', made.inputs());
    for (const id of ids) await fleet.query(id, `INSERT INTO notes VALUES (1, 'kept')`);
    return made;
  }

  /** The inputs of a run on all of them. */
  inputs(more: Readonly<Record<string, string>> = {}): Record<string, string> {
    return { tenants: this.tenants, 'migrations-folder': this.migrationsFolder, ...more };
  }

  /** Gives the folder the migrations after the first. */
  async write(migrations: Readonly<Record<string, readonly string[]>>): Promise<void> {
    await writeMigrations(this.migrationsFolder, { '0000_notes': NOTES, ...migrations });
  }

  /** The inputs that undo a run. */
  async undoInputs({ report = '' }: FinishedAction, change = (text: string) => text): Promise<Record<string, string>> {
    const file = `${this.migrationsFolder}-${Math.random().toString(36).slice(2)}.json`;
    await writeFile(file, change(report));
    return { command: 'undo', 'undo-report': file, 'migrations-folder': this.migrationsFolder };
  }

  /** The columns of the table, through which it is seen what is applied. */
  async columns(projectId = this.ids[0] ?? ''): Promise<string[]> {
    const rows = await this.fleet.query<{ name: string }>(
      projectId,
      `SELECT column_name AS name FROM information_schema.columns WHERE table_name = 'notes' ORDER BY 1`,
    );
    return rows.map(({ name }) => name);
  }

  async branches(projectId = this.ids[0] ?? ''): Promise<Branch[]> {
    const { apiKey, apiUrl } = this.fleet.neon;
    const { data } = await createApiClient({ apiKey, baseURL: apiUrl }).listProjectBranches({ projectId });
    return data.branches;
  }

  /** Names of the branches that keep what a restore has replaced. */
  async replaced(projectId?: string): Promise<string[]> {
    return (await this.branches(projectId)).map(({ name }) => name).filter((name) => name.startsWith('replaced-'));
  }

  /** Resolves when so many sessions of that kind are connected. */
  async sessions(kind: string, count: number, projectId = this.ids[0] ?? ''): Promise<void> {
    for (;;) {
      const rows = await this.fleet.query(
        projectId,
        `SELECT FROM pg_stat_activity WHERE application_name LIKE 'neon-fleet ${kind} %' AND datname = current_database()`,
      );
      if (rows.length >= count) return;
    }
  }
}
