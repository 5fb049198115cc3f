import pg from 'pg';

async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** Puts a small company's data into a tenant. */
export async function insertRows(url: string, company: string): Promise<void> {
  await withClient(url, async (client) => {
    await client.query(
      `INSERT INTO users (name, email)
       SELECT 'User ' || n, 'user' || n || '@' || md5($1) || '.example' FROM generate_series(1, 20) n`,
      [company],
    );
    await client.query(`INSERT INTO projects (name, owner_id) SELECT $1 || ': ' || name, id FROM users LIMIT 5`, [
      company,
    ]);
    await client.query(
      `INSERT INTO tasks (project_id, title, priority)
       SELECT p.id, 'Task ' || n || ' “naïve”, 100 % 日本', n % 3 FROM projects p, generate_series(1, 40) n`,
    );
  });
}

/** A table's size and a digest over all of its rows. */
export interface TableDigest {
  readonly table: string;
  readonly rows: number;
  readonly digest: string;
}

/** What each table of the demo's schema holds. */
export async function digestTables(url: string): Promise<TableDigest[]> {
  return withClient(url, async (client) => {
    const digests: TableDigest[] = [];
    for (const table of ['users', 'projects', 'tasks']) {
      const { rows } = await client.query<{ rows: number; digest: string }>(
        `SELECT count(*)::int AS rows, coalesce(md5(string_agg(t::text, E'\\n' ORDER BY t::text)), '') AS digest FROM ${table} t`,
      );
      const [row] = rows;
      if (row !== undefined) digests.push({ table, ...row });
    }
    return digests;
  });
}
