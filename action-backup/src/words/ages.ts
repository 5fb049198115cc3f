const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
] as const;

/** An age as a person reads it: `3 h`, `12 d`. Whole units, rounded down; days from two of them on. */
export function ageWords(ageMs: number): string {
  const [name, size] = UNITS.find(([unit, unitMs]) => ageMs >= unitMs * (unit === 'd' ? 2 : 1)) ?? ['min', 60_000];
  return `${Math.floor(Math.max(0, ageMs) / size)} ${name}`;
}
