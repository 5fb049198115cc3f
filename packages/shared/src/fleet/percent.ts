/** A percentage of a whole number, as a whole number. */
export function shareOf(total: number, percent: number, rounding: 'up' | 'down'): number {
  // 10 % of 70 is 7.000000000000001 in floating point, which must not be rounded up to 8.
  const exact = Number(((total * percent) / 100).toFixed(6));
  return rounding === 'up' ? Math.ceil(exact) : Math.floor(exact);
}
