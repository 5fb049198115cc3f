/**
 * The script of the status page. Rows are put in a piece at a time as the reader scrolls, so that ten thousand are as
 * quick as ten; what is searched and how it is sorted stands in the address, so that a view can be passed on.
 */
export const PAGE_SCRIPT = `
(() => {
  'use strict';
  const { takenAt, rows } = JSON.parse(document.getElementById('data').textContent);
  const now = Date.parse(takenAt);
  const age = (time) => {
    if (!time) return '';
    const minutes = Math.max(0, (now - Date.parse(time)) / 60000);
    if (minutes < 120) return Math.round(minutes) + ' min';
    return minutes < 2880 ? Math.round(minutes / 60) + ' h' : Math.round(minutes / 1440) + ' d';
  };
  const size = (bytes) => {
    if (bytes === undefined) return '';
    const units = ['B', 'kB', 'MB', 'GB', 'TB'];
    let value = bytes, unit = 0;
    while (value >= 1000 && unit < units.length - 1) { value /= 1000; unit += 1; }
    return (unit === 0 ? value : value.toFixed(1)) + ' ' + units[unit];
  };
  const bad = (row) => /^(failed|rolled-back)/.test(row.outcome || '');
  const columns = [
    { id: 'name', title: 'Tenant', value: (r) => r.name.toLowerCase(), text: (r) => r.name, sub: (r) => (r.key === r.name ? r.projectId : r.key + ' · ' + r.projectId) },
    { id: 'version', title: 'Schema version', value: (r) => r.version || '', text: (r) => r.version || (r.isBehind ? 'nothing applied' : ''), kind: (r) => (r.isBehind ? 'warn' : '') },
    { id: 'outcome', title: 'Last outcome', value: (r) => (bad(r) ? '0' : '1') + (r.outcome || '~'), text: (r) => (r.isMissing ? 'not in Neon' : r.outcome || ''), kind: (r) => (r.isMissing || bad(r) ? 'bad' : '') },
    { id: 'region', title: 'Region', value: (r) => r.region || '', text: (r) => r.region || '' },
    { id: 'postgres', title: 'PG', value: (r) => r.postgres || 0, text: (r) => r.postgres || '', number: true },
    { id: 'backup', title: 'Backup', value: (r) => Date.parse(r.backupAt || 0), text: (r) => age(r.backupAt) || 'none', kind: (r) => (r.backupAt ? '' : 'warn'), number: true },
    { id: 'verified', title: 'Verified', value: (r) => Date.parse(r.verifiedAt || 0), text: (r) => age(r.verifiedAt), number: true },
    { id: 'size', title: 'Size', value: (r) => r.sizeBytes || 0, text: (r) => size(r.sizeBytes), number: true },
    { id: 'compute', title: 'CU hours', value: (r) => r.computeHours || 0, text: (r) => (r.computeHours === undefined ? '' : r.computeHours.toFixed(1)), number: true },
    { id: 'active', title: 'Active', value: (r) => Date.parse(r.lastActiveAt || 0), text: (r) => age(r.lastActiveAt), number: true },
  ];
  for (const row of rows) {
    row.words = [row.name, row.key, row.projectId, row.region, row.version, row.outcome, row.isMissing ? 'not in neon' : '', row.isBehind ? 'behind' : '']
      .join(' ').toLowerCase();
  }
  const search = document.getElementById('search');
  const shown = document.getElementById('shown');
  const head = document.querySelector('#tenants thead tr');
  const body = document.querySelector('#tenants tbody');
  const asked = new URLSearchParams(location.hash.slice(1));
  let sort = columns.some((c) => c.id === asked.get('sort')) ? asked.get('sort') : 'name';
  let down = asked.get('down') === '1';
  search.value = asked.get('q') || '';
  const buttons = columns.map((column) => {
    const cell = document.createElement('th');
    const button = document.createElement('button');
    button.type = 'button';
    if (column.number) cell.className = 'number';
    button.addEventListener('click', () => {
      down = sort === column.id ? !down : false;
      sort = column.id;
      draw();
    });
    cell.append(button);
    head.append(cell);
    return button;
  });
  const PIECE = 200;
  let current = [];
  let drawn = 0;
  const more = () => {
    const piece = document.createDocumentFragment();
    for (const row of current.slice(drawn, drawn + PIECE)) {
      const line = document.createElement('tr');
      for (const column of columns) {
        const cell = document.createElement('td');
        cell.className = [column.number ? 'number' : '', column.kind ? column.kind(row) : ''].join(' ').trim();
        cell.textContent = column.text(row);
        cell.title = cell.textContent;
        if (column.sub) {
          const sub = document.createElement('small');
          sub.textContent = column.sub(row);
          cell.append(sub);
        }
        line.append(cell);
      }
      piece.append(line);
    }
    drawn = Math.min(drawn + PIECE, current.length);
    body.append(piece);
  };
  const draw = () => {
    const words = search.value.toLowerCase().split(/\\s+/).filter(Boolean);
    const { value } = columns.find((c) => c.id === sort);
    const sign = down ? -1 : 1;
    current = rows
      .filter((row) => words.every((word) => row.words.includes(word)))
      .map((row) => [value(row), row])
      .sort(([a, x], [b, y]) => (a < b ? -sign : a > b ? sign : x.projectId < y.projectId ? -1 : 1))
      .map(([, row]) => row);
    drawn = 0;
    body.replaceChildren();
    more();
    shown.textContent = current.length === rows.length ? rows.length + ' tenants' : current.length + ' of ' + rows.length + ' tenants';
    columns.forEach((column, at) => {
      const isSorted = column.id === sort;
      buttons[at].textContent = column.title + (isSorted ? (down ? ' ↓' : ' ↑') : '');
      buttons[at].parentElement.setAttribute('aria-sort', isSorted ? (down ? 'descending' : 'ascending') : 'none');
    });
    const state = new URLSearchParams();
    if (search.value) state.set('q', search.value);
    if (sort !== 'name') state.set('sort', sort);
    if (down) state.set('down', '1');
    history.replaceState(null, '', state.size ? '#' + state : location.pathname + location.search);
  };
  search.addEventListener('input', draw);
  addEventListener('scroll', () => {
    if (drawn < current.length && innerHeight + scrollY > document.body.offsetHeight - 1200) more();
  }, { passive: true });
  draw();
})();
`;
