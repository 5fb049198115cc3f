// The least that knowing a fleet can cost: the official client reads the pages of the project list one after another.
// Usage: node floor-list.mjs API_URL, with the key in NEON_API_KEY
import { createApiClient } from '@neondatabase/api-client';

const api = createApiClient({ apiKey: process.env.NEON_API_KEY, baseURL: process.argv[2] });
let cursor;
let seen = 0;
do {
  const { data } = await api.listProjects({ limit: 400, ...(cursor === undefined ? {} : { cursor }) });
  seen += data.projects.length;
  cursor = data.projects.length === 0 ? undefined : data.pagination?.cursor;
} while (cursor);
console.log(seen);
