const NAMES_SHOWN = 3;
const LONGEST_NAME = 60;

/**
 * A few names for a sentence, quoted and of bounded length: `"ACME Corp", "Payroll Inc" and 4 more`. The sentence may be
 * repeated for every tenant of a fleet.
 */
export function namesOf(named: readonly { readonly name: string }[]): string {
  const shown = named.slice(0, NAMES_SHOWN).map(({ name }) => JSON.stringify(shortened(name)));
  const more = named.length - shown.length;
  return shown.join(', ') + (more > 0 ? ` and ${more} more` : '');
}

function shortened(name: string): string {
  // By characters, not code units: half of one is no text.
  const characters = Array.from(name.slice(0, 2 * LONGEST_NAME + 2));
  return characters.length > LONGEST_NAME ? `${characters.slice(0, LONGEST_NAME).join('')}…` : name;
}
