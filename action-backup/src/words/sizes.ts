const UNITS = ['bytes', 'kB', 'MB', 'GB', 'TB'] as const;

/** A size as a person reads it: `812 bytes`, `12.3 MB`. */
export function sizeWords(bytes: number): string {
  const step = bytes < 1_000 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log10(bytes) / 3));
  const unit = UNITS[step] ?? 'bytes';
  return step === 0 ? `${bytes} ${unit}` : `${(bytes / 1_000 ** step).toFixed(1)} ${unit}`;
}
