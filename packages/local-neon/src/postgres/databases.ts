import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { DatabaseRecord, ProjectRecord, RoleRecord } from '../state/model.js';
import { memoryIsShort, type Directories } from './storage.js';
import type { Cluster } from './cluster.js';

const TEMPLATE = 'neon_template';
const quote = (name: string) => pg.escapeIdentifier(name);

/** Makes, copies and drops the physical databases and roles behind the projects. Superuser work only. */
export class PhysicalDatabases {
  readonly #cluster: Cluster;
  readonly #directories: Directories;
  readonly #log: (line: string) => void;
  readonly #pool: pg.Pool;
  readonly #making = new Map<object, Promise<void>>();
  readonly #granted = new Set<string>();

  constructor(cluster: Cluster, directories: Directories, log: (line: string) => void) {
    this.#cluster = cluster;
    this.#directories = directories;
    this.#log = log;
    this.#pool = new pg.Pool({ connectionString: cluster.superuserUrl('postgres'), max: 4, allowExitOnIdle: true });
    this.#pool.on('error', () => undefined); // an idle connection went away with the server
  }

  /**
   * What Neon has in every database: `neon_superuser`, of which owners are members, and `cloud_admin` with the default
   * privileges that show up in every dump.
   */
  async prepare(): Promise<void> {
    await this.#pool.query(
      `create role neon_superuser nologin createdb createrole bypassrls replication in role pg_read_all_data, pg_write_all_data, pg_monitor;
       create role cloud_admin nologin superuser`,
    );
    const { overflow } = this.#cluster;
    if (overflow !== undefined)
      await this.#pool.query(`create tablespace on_disk location ${pg.escapeLiteral(overflow)}`);
    await this.#pool.query(`create database ${TEMPLATE} template template0`);
    const client = new pg.Client(this.#cluster.superuserUrl(TEMPLATE));
    await client.connect();
    await client.query(
      `alter default privileges for role cloud_admin in schema public grant all on tables to neon_superuser with grant option;
       alter default privileges for role cloud_admin in schema public grant all on sequences to neon_superuser with grant option`,
    );
    await client.end();
    await this.#pool.query(
      `update pg_database set datallowconn = false, datistemplate = true where datname = '${TEMPLATE}'`,
    );
  }

  /** Makes the database behind a record if the server doesn't have it yet. */
  ensureDatabase(project: ProjectRecord, database: DatabaseRecord): Promise<void> {
    if (database.exists) return Promise.resolve();
    return this.#once(database, async () => {
      const owner = await this.#ensureOwner(project, database);
      await this.#create(database.physicalName, owner, TEMPLATE);
      database.exists = true;
    });
  }

  /** Makes the role behind a record if the server doesn't have it yet. */
  ensureRole(role: RoleRecord): Promise<void> {
    if (role.exists) return Promise.resolve();
    return this.#once(role, async () => {
      const login = role.noLogin ? 'nologin' : `login password ${pg.escapeLiteral(role.password)}`;
      await this.#pool.query(
        `create role ${quote(role.physicalName)} ${login} createdb createrole bypassrls replication in role neon_superuser`,
      );
      role.exists = true;
    });
  }

  /** Lets a role that does not own a database connect to it. */
  async allow(role: RoleRecord, database: DatabaseRecord): Promise<void> {
    const key = `${role.physicalName} ${database.physicalName}`;
    if (role.name === database.ownerName || this.#granted.has(key)) return;
    await this.#pool.query(
      `grant connect, temporary, create on database ${quote(database.physicalName)} to ${quote(role.physicalName)}`,
    );
    this.#granted.add(key);
  }

  /** Whether a role owns a database of that physical name, as it does when it made it with SQL. */
  async isOwner(role: RoleRecord, name: string): Promise<boolean> {
    await this.ensureRole(role);
    const result = await this.#pool.query(
      'select from pg_database where datname = $1 and datdba = (select oid from pg_roles where rolname = $2)',
      [name, role.physicalName],
    );
    return result.rows.length > 0;
  }

  /** Whether a role that no API call made can log in. What it may connect to is for the real server to say. */
  async mayLogIn(name: string): Promise<boolean> {
    const result = await this.#pool.query(
      `select from pg_roles where rolname = $1 and rolcanlogin and not rolsuper and not pg_has_role(oid, 'neon_superuser', 'member')`,
      [name],
    );
    return result.rows.length > 0;
  }

  async setPassword(role: RoleRecord): Promise<void> {
    if (!role.exists) return;
    await this.#pool.query(`alter role ${quote(role.physicalName)} password ${pg.escapeLiteral(role.password)}`);
  }

  async setOwner(project: ProjectRecord, database: DatabaseRecord): Promise<void> {
    if (!database.exists) return;
    const owner = await this.#ensureOwner(project, database);
    await this.#pool.query(`alter database ${quote(database.physicalName)} owner to ${quote(owner)}`);
  }

  /** Drops a database together with its sessions. */
  async drop(database: DatabaseRecord): Promise<void> {
    if (!database.exists) return;
    database.exists = false;
    await this.#pool.query(`drop database if exists ${quote(database.physicalName)} with (force)`);
  }

  /**
   * Gives a role up. What it owned goes to `heir`, as nothing else would let PostgreSQL drop it.
   */
  async dropRole(role: RoleRecord, databases: readonly DatabaseRecord[], heir: string): Promise<void> {
    if (!role.exists) return;
    for (const database of databases.filter((candidate) => candidate.exists)) {
      const client = new pg.Client(this.#cluster.superuserUrl(database.physicalName));
      await client.connect();
      try {
        await client.query(
          `reassign owned by ${quote(role.physicalName)} to ${quote(heir)}; drop owned by ${quote(role.physicalName)}`,
        );
      } finally {
        await client.end();
      }
    }
    await this.#pool.query(`drop role ${quote(role.physicalName)}`);
    role.exists = false;
  }

  /**
   * Copies what `source` holds at this moment into the new database `target`. A source that the server doesn't have yet
   * is empty, and so is its copy: nothing is made then.
   */
  async copy(project: ProjectRecord, source: DatabaseRecord, target: DatabaseRecord): Promise<void> {
    await this.#making.get(source);
    if (!source.exists) return;
    const owner = await this.#ensureOwner(project, target);
    if (await this.#unused(source)) {
      try {
        await this.#create(target.physicalName, owner, source.physicalName);
        target.exists = true;
        return;
      } catch (error) {
        if (!(error instanceof pg.DatabaseError) || error.code !== '55006') throw error; // somebody connected meanwhile
      }
    }
    if (await this.#dumpAndLoad(source, target, owner)) {
      target.exists = true;
      return;
    }
    this.#log(
      `local-neon: ended the sessions of ${source.physicalName} to copy it, as there is no pg_dump to copy it with`,
    );
    await this.#endSessions(source);
    await this.#create(target.physicalName, owner, source.physicalName);
    target.exists = true;
  }

  /** How far the server's log has come: all that was committed is before that place, written out yet or not. */
  async currentLsn(): Promise<string> {
    const result = await this.#pool.query<{ lsn: string }>('select pg_current_wal_insert_lsn()::text as lsn');
    return result.rows[0]?.lsn ?? '0/0';
  }

  /** Size of a database; 0 while the server doesn't have it. */
  async size(database: DatabaseRecord): Promise<number> {
    if (!database.exists) return 0;
    const result = await this.#pool.query<{ size: string }>('select pg_database_size($1) as size', [
      database.physicalName,
    ]);
    return Number(result.rows[0]?.size ?? 0);
  }

  async close(): Promise<void> {
    await this.#pool.end().catch(() => undefined);
  }

  async #once(key: object, work: () => Promise<void>): Promise<void> {
    let making = this.#making.get(key);
    if (!making) {
      making = work().finally(() => this.#making.delete(key));
      this.#making.set(key, making);
    }
    await making;
  }

  async #ensureOwner(project: ProjectRecord, database: DatabaseRecord): Promise<string> {
    const role = project.roles.get(database.ownerName);
    if (!role) throw new Error(`database ${database.name} of project ${project.id} has no owner`);
    await this.ensureRole(role);
    return role.physicalName;
  }

  async #create(name: string, owner: string, template: string): Promise<void> {
    // Copying files costs no log, which for thousands of databases would be most of what is written.
    const tablespace = (await memoryIsShort(this.#directories)) ? 'tablespace on_disk' : '';
    const strategy = this.#cluster.major >= 15 ? 'strategy file_copy' : '';
    await this.#pool.query(
      `create database ${quote(name)} owner ${quote(owner)} template ${quote(template)} ${strategy} ${tablespace}`,
    );
    await this.#pool.query(`revoke connect, temporary on database ${quote(name)} from public`);
  }

  /** Whether nobody is connected. Sessions whose clients have just left get a moment to end. */
  async #unused(database: DatabaseRecord): Promise<boolean> {
    for (let patience = 20; patience > 0; patience--) {
      const result = await this.#pool.query<{ sessions: number }>(
        'select count(*)::int as sessions from pg_stat_activity where datname = $1',
        [database.physicalName],
      );
      if (result.rows[0]?.sessions === 0) return true;
      await sleep(10);
    }
    return false;
  }

  async #endSessions(database: DatabaseRecord): Promise<void> {
    await this.#pool.query('select pg_terminate_backend(pid) from pg_stat_activity where datname = $1', [
      database.physicalName,
    ]);
    await this.#unused(database);
  }

  /** False when there are no client programs to do it with. */
  async #dumpAndLoad(source: DatabaseRecord, target: DatabaseRecord, owner: string): Promise<boolean> {
    const programs = this.#clientPrograms();
    if (!programs) return false;
    await this.#create(target.physicalName, owner, 'template0');
    const environment = { PATH: process.env['PATH'] ?? '', PGPASSWORD: this.#cluster.superuser.password, LC_ALL: 'C' };
    const connection = [
      '--host=127.0.0.1',
      `--port=${String(this.#cluster.port)}`,
      `--username=${this.#cluster.superuser.user}`,
    ];
    const dump = spawn(
      programs.dump,
      [...connection, '--format=custom', '--compress=0', '--lock-wait-timeout=5000', `--dbname=${conninfo(source)}`],
      { env: environment },
    );
    const load = spawn(programs.restore, [...connection, '--exit-on-error', `--dbname=${conninfo(target)}`], {
      env: environment,
    });
    dump.stdout.pipe(load.stdin);
    load.stdin.on('error', () => undefined); // its exit status tells
    const problems = await Promise.all([ended(dump, 'pg_dump'), ended(load, 'pg_restore')]);
    const problem = problems.filter((text) => text !== undefined).join('; ');
    if (problem === '') return true;
    await this.#pool.query(`drop database ${quote(target.physicalName)} with (force)`);
    throw new Error(`copying ${source.physicalName} failed: ${problem}`);
  }

  #clientPrograms(): { dump: string; restore: string } | undefined {
    const directories = [this.#cluster.binDir, ...(process.env['PATH'] ?? '').split(path.delimiter)];
    for (const directory of directories) {
      const [dump, restore] = [path.join(directory, 'pg_dump'), path.join(directory, 'pg_restore')];
      if (path.isAbsolute(dump) && existsSync(dump) && existsSync(restore)) return { dump, restore };
    }
    return undefined;
  }
}

const conninfo = (database: DatabaseRecord) =>
  `dbname='${database.physicalName.replaceAll(/['\\]/g, String.raw`\$&`)}'`;

function ended(child: ReturnType<typeof spawn>, name: string): Promise<string | undefined> {
  let stderr = '';
  child.stderr?.on('data', (chunk: Buffer) => (stderr = (stderr + chunk.toString()).slice(-2000)));
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(`${name}: ${error.message}`));
    child.once('close', (code, signal) =>
      resolve(code === 0 ? undefined : `${name} ended with ${String(code ?? signal)}: ${stderr.trim()}`),
    );
  });
}
