/** How a field of a cron counts, and the names that stand for numbers in it. */
interface Field {
  readonly least: number;
  readonly most: number;
  readonly names?: readonly string[];
}

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const WEEKDAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
const FIELDS: readonly Field[] = [
  { least: 0, most: 59 },
  { least: 0, most: 23 },
  { least: 1, most: 31 },
  { least: 1, most: 12, names: MONTHS },
  // 7 is Sunday as well.
  { least: 0, most: 7, names: WEEKDAYS },
];

const MINUTE_MS = 60_000;
const DAY_MINUTES = 24 * 60;
/** Two leap years and what is between them: the rarest day is the 29th of February. */
const DAYS_LOOKED_AT = 366 * 9;

/** The times of a day at which one cron comes, and the days on which it does. */
interface Cron {
  readonly minutes: readonly number[];
  readonly comesOn: (day: Date) => boolean;
}

/**
 * The longest time that passes between two comings of any of these crons, in milliseconds. GitHub's may come later, and
 * one may be left out: it is what they promise.
 *
 * @returns undefined when there is none that can be read, or none that ever comes.
 */
export function longestGapMs(texts: readonly string[]): number | undefined {
  const crons = texts.flatMap((text) => parseCron(text) ?? []);
  if (crons.length === 0) return undefined;
  let [last, longest]: [number | undefined, number] = [undefined, 0];
  for (let day = 0; day < DAYS_LOOKED_AT; day += 1) {
    const date = new Date(Date.UTC(2024, 0, 1 + day));
    const minutes = crons.filter(({ comesOn }) => comesOn(date)).flatMap((cron) => cron.minutes);
    for (const minute of minutes.toSorted((a, b) => a - b)) {
      const at = day * DAY_MINUTES + minute;
      if (last !== undefined) longest = Math.max(longest, at - last);
      last = at;
    }
  }
  return longest === 0 ? undefined : longest * MINUTE_MS;
}

function parseCron(text: string): Cron | undefined {
  const parts = text.trim().toLowerCase().split(/\s+/);
  const [minute, hour, date, month, weekday] = FIELDS.map((field, index) => numbersOf(parts[index] ?? '', field));
  if (parts.length !== FIELDS.length || !minute || !hour || !date || !month || !weekday) return undefined;
  const weekdays = new Set([...weekday].map((each) => each % WEEKDAYS.length));
  const [anyDate, anyWeekday] = [parts[2]?.startsWith('*') === true, parts[4]?.startsWith('*') === true];
  return {
    minutes: [...hour].flatMap((each) => [...minute].map((past) => each * 60 + past)),
    comesOn: (day) => {
      if (!month.has(day.getUTCMonth() + 1)) return false;
      const [onDate, onWeekday] = [date.has(day.getUTCDate()), weekdays.has(day.getUTCDay())];
      // Where both are given, either is enough.
      return anyDate || anyWeekday ? onDate && onWeekday : onDate || onWeekday;
    },
  };
}

/** The numbers that a field such as 1-5, mon,wed or every third means; undefined for what is none. */
function numbersOf(text: string, { least, most, names = [] }: Field): Set<number> | undefined {
  const found = new Set<number>();
  for (const item of text.split(',')) {
    const read = /^(?:(\*)|([a-z]{3}|\d{1,2})(?:-([a-z]{3}|\d{1,2}))?)(?:\/(\d{1,2}))?$/.exec(item);
    if (read === null) return undefined;
    const [, star, first, last, step] = read;
    const from = star === undefined ? numberOf(first, names, least) : least;
    const to =
      star !== undefined || (last === undefined && step !== undefined) ? most : numberOf(last ?? first, names, least);
    const by = Number(step ?? 1);
    if (from === undefined || to === undefined || from < least || to > most || from > to || by < 1) return undefined;
    for (let number = from; number <= to; number += by) found.add(number);
  }
  return found;
}

function numberOf(text: string | undefined, names: readonly string[], least: number): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d+$/.test(text)) return Number(text);
  const index = names.indexOf(text);
  return index === -1 ? undefined : index + least;
}
