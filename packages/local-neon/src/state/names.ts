import { createHash, randomBytes, randomInt } from 'node:crypto';

const adjectives =
  'amber autumn bitter bold broad calm cold cool crimson damp dawn dry falling fancy frosty gentle green hidden icy late lingering little lively long misty muddy nameless noisy odd old patient plain proud quiet rapid restless rough round shiny shy silent small snowy soft solitary still summer super sweet twilight wandering weathered white wild winter wispy withered young'.split(
    ' ',
  );
const nouns =
  'band bar base bird block boat bonus bread breeze brook bush butterfly cake cell cherry cloud credit darkness dawn dew disk dream dust feather field fire firefly flower fog forest frog frost glade glitter grass hall hat haze heart hill king lab lake leaf limit math meadow mode moon morning mountain mouse mud night paper pine poetry pond queen rain recipe resonance rice river salad scene sea shadow shape silence sky smoke snow snowflake sound star sun sunset surf term thunder tooth tree truth union unit violet voice water waterfall wave wildflower wind wood'.split(
    ' ',
  );

const pick = (words: readonly string[]) => words[randomInt(words.length)] ?? 'plain';
const words = () => `${pick(adjectives)}-${pick(nouns)}`;

/** An id that looks like a Neon project's: `misty-river-12345678`. */
export const newProjectId = () => `${words()}-${String(randomInt(10_000_000, 100_000_000))}`;

/** An id that looks like a Neon branch's (`br-…`) or endpoint's (`ep-…`). */
export const newId = (prefix: 'br' | 'ep') => `${prefix}-${words()}-a${randomBytes(4).toString('hex').slice(1)}`;

/** A password that looks like one of Neon's. */
export const newPassword = () => `npg_${randomBytes(12).toString('hex')}`;

const LONGEST_NAME = 63;

/**
 * The name that the real server uses for a role or database of a project. PostgreSQL cuts names at 63 bytes, so a
 * longer one ends in a hash of the whole.
 */
export function physicalName(...parts: readonly (string | number)[]): string {
  const whole = parts.join('.');
  if (Buffer.byteLength(whole) <= LONGEST_NAME) return whole;
  const hash = createHash('sha256').update(whole).digest('hex').slice(0, 16);
  let head = whole;
  while (Buffer.byteLength(head) > LONGEST_NAME - hash.length - 1) head = head.slice(0, -1);
  return `${head}.${hash}`;
}
