/** A row of a job summary as a browser would show it. */
export interface SummaryRow {
  readonly folded: boolean;
  readonly name: string;
  readonly projectId: string;
  readonly database: string;
  readonly status: string;
  readonly duration: string;
  readonly story: readonly string[];
}

const ROW =
  /^<tr><td><b>(?<name>[^<>]*)<\/b><br><sub><code>(?<projectId>[^<>]*)<\/code> (?<database>[^<>]*)<\/sub><\/td><td>\S+&nbsp;(?<status>[^<>]*)<br><sub>(?<duration>[^<>]*)<\/sub><\/td><td>(?<story>(?:[^<>]|<br>)*)<\/td><\/tr>$/u;

const FRAME =
  /^(?:<table>|<\/table>|<tr>(?:<th align="left">[A-Za-z ]+<\/th>){3}<\/tr>|<details><summary>\d+ more that (?:need no attention|were skipped)<\/summary>|<\/details>|<p>\d+ more did not fit here; all of them are in the report\.<\/p>|)$/;

/**
 * Reads a job summary strictly: below the heading and the totals every line is one of the frame's own or one whole row.
 * A text that got out of its cell makes a line that is neither.
 */
export function readSummary(summary: string): { heading: string; totals: string; rows: SummaryRow[]; left: number } {
  const [heading = '', blank, totals = '', ...lines] = summary.split('\n');
  if (!heading.startsWith('## ') || blank !== '') throw new Error(`not a heading: ${heading}`);
  const rows: SummaryRow[] = [];
  let folded = false;
  let inTable = false;
  let left = 0;
  for (const line of lines) {
    const row = ROW.exec(line)?.groups;
    if (row !== undefined) {
      if (!inTable) throw new Error(`a row outside of a table: ${line}`);
      const { name = '', projectId = '', database = '', status = '', duration = '', story = '' } = row;
      rows.push({
        folded,
        name: unescape(name),
        projectId: unescape(projectId),
        database: unescape(database),
        status: unescape(status),
        duration,
        story: story.split('<br>').map(unescape),
      });
      continue;
    }
    if (!FRAME.test(line)) throw new Error(`neither a row nor the frame: ${JSON.stringify(line)}`);
    // In Markdown a blank line ends a block of HTML.
    if (line === '' && inTable) throw new Error('a blank line within a table');
    if (line === '<table>') inTable = true;
    if (line === '</table>') inTable = false;
    if (line.startsWith('<details>')) folded = true;
    if (line === '</details>') folded = false;
    left = Number(/^<p>(\d+) more/.exec(line)?.[1] ?? left);
  }
  return { heading, totals, rows, left };
}

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'" };

function unescape(text: string): string {
  return text.replace(/&([^;&]*)(;?)/g, (whole, name: string, end: string) => {
    const character = ENTITIES[name];
    if (character === undefined || end === '') throw new Error(`an ampersand that was not escaped: ${whole}`);
    return character;
  });
}
