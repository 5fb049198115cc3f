import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { renderPage } from '../../src/status/page.js';
import type { FleetStatus, StatusRow } from '../../src/status/rows.js';

const HOSTILE = `</script><script>document.title='owned'</script><img src=x onerror="document.title='owned'"> 🦊 $(x) "'`;

function row(number: number, overrides: Partial<StatusRow> = {}): StatusRow {
  const isBehind = number % 50 === 0;
  return {
    key: `tenant-${number}`,
    name: `Tenant ${String(number).padStart(5, '0')} Ltd`,
    projectId: `quiet-river-${10_000_000 + number}`,
    region: number % 3 === 0 ? 'aws-eu-central-1' : 'aws-us-east-1',
    postgres: 17,
    version: isBehind ? '0011_invoices' : '0012_tasks',
    isBehind,
    outcome: number % 400 === 0 ? 'failed: SQLSTATE 42701' : 'succeeded',
    backupAt: new Date(Date.UTC(2026, 10, 2) - number * 1_000).toISOString(),
    verifiedAt: '2026-10-30T00:00:00.000Z',
    sizeBytes: number * 1_000_000,
    computeHours: number / 100,
    lastActiveAt: '2026-11-02T02:00:00.000Z',
    isMissing: false,
    ...overrides,
  };
}

function status(count: number, extra: readonly StatusRow[] = []): FleetStatus {
  return {
    schemaVersion: 1,
    takenAt: '2026-11-02T03:00:00.000Z',
    version: '0012_tasks',
    rows: [...Array.from({ length: count }, (_, index) => row(index + 1)), ...extra],
    gaps: [],
  };
}

const BROWSERS = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/usr/bin/google-chrome-stable',
];
const browser = process.env['CHROMIUM'] ?? BROWSERS.find((file) => existsSync(file));

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'neon-fleet-page-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** The page as the browser has it once its script has run. */
async function open(page: string, view = ''): Promise<string> {
  const file = path.join(folder, `page-${Math.random()}.html`);
  await writeFile(file, page);
  const { stdout } = await promisify(execFile)(
    browser ?? '',
    [
      '--headless=new',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-dev-shm-usage',
      `--user-data-dir=${path.join(folder, `profile-${Math.random()}`)}`,
      '--dump-dom',
      pathToFileURL(file).href + view,
    ],
    { maxBuffer: 64 * 1024 * 1024 },
  );
  return stdout;
}

/** The names in the rows that are drawn. */
function names(dom: string): string[] {
  const body = /<tbody>([\s\S]*)<\/tbody>/.exec(dom)?.[1] ?? '';
  return [...body.matchAll(/<tr><td[^>]*>(.*?)<small>/g)].map(([, name = '']) => name);
}

describe('the page', () => {
  test('asks for nothing from outside', () => {
    const page = renderPage(status(3));
    expect(page).not.toMatch(/\b(src|href)=|url\(|@import|https?:/);
    expect(page).toContain(`default-src 'none'`);
  });

  test('holds a hostile name as data only', () => {
    const page = renderPage(status(1, [row(2, { name: HOSTILE, key: HOSTILE, version: HOSTILE, region: HOSTILE })]));
    expect(page).not.toContain('<img src=x');
    expect(page.match(/<\/script>/g)).toHaveLength(2);
  });
});

(browser === undefined ? describe.skip : describe)('in a browser, the page', () => {
  test('shows 10,000 tenants a piece at a time, sorted by name', async () => {
    const dom = await open(renderPage(status(10_000)));
    expect(dom).toContain('10000 tenants');
    expect(names(dom)).toHaveLength(200);
    expect(names(dom)[0]).toBe('Tenant 00001 Ltd');
    expect(dom).toMatch(/aria-sort="ascending"><button[^>]*>Tenant ↑/);
  });

  test('finds by every word, in names, ids, regions and states', async () => {
    const page = renderPage(status(10_000));
    const dom = await open(page, '#q=behind+eu-central');
    expect(dom).toContain('66 of 10000 tenants');
    expect(names(dom)[0]).toBe('Tenant 00150 Ltd');
    expect(names(await open(page, '#q=quiet-river-10000042'))).toEqual(['Tenant 00042 Ltd']);
    expect(names(await open(page, '#q=nobody'))).toEqual([]);
  });

  test('sorts by any column, both ways', async () => {
    const page = renderPage(status(1_000));
    expect(names(await open(page, '#sort=size&down=1')).slice(0, 2)).toEqual(['Tenant 01000 Ltd', 'Tenant 00999 Ltd']);
    expect(names(await open(page, '#sort=outcome')).slice(0, 2)).toEqual(['Tenant 00400 Ltd', 'Tenant 00800 Ltd']);
    expect(names(await open(page, '#sort=backup'))[0]).toBe('Tenant 01000 Ltd');
  });

  test('runs nothing that a name says', async () => {
    const dom = await open(renderPage(status(1, [row(2, { name: HOSTILE, key: HOSTILE, outcome: HOSTILE })])));
    expect(dom).toContain('<title>Fleet status</title>');
    expect(names(dom)).toHaveLength(2);
    expect(dom).toContain('&lt;/script&gt;&lt;script&gt;');
  });
});
