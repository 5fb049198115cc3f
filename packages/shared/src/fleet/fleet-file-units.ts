import { z } from 'zod';

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, min: 60, h: 3_600, d: 86_400, w: 604_800 };
const BYTES: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};

const DURATION = /^(\d{1,12}(?:\.\d{1,6})?)(s|m|min|h|d|w)$/;
const SIZE = /^(\d{1,15}(?:\.\d{1,6})?)(B|kB|MB|GB|TB|KiB|MiB|GiB|TiB)$/;

/** A length of time with its unit, given in whole seconds. */
export function durationSetting({ min = 0, max }: { readonly min?: number; readonly max?: number } = {}) {
  const bounds = [
    ...(min > 0 ? [`at least ${durationText(min)}`] : []),
    ...(max === undefined ? [] : [`at most ${durationText(max)}`]),
  ];
  const message = ['a length of time with its unit, such as 30s, 100h or 7d', ...bounds].join(', ');
  return z
    .string({ error: message })
    .regex(DURATION, message)
    .transform((text) => Math.round(measure(DURATION, SECONDS, text)))
    .refine((seconds) => seconds >= min && seconds <= (max ?? Number.MAX_SAFE_INTEGER), message);
}

/** An amount of data with its unit, given in bytes. */
export function sizeSetting() {
  const message = 'an amount of data with its unit, such as 500MB or 5GiB';
  return z
    .string({ error: message })
    .regex(SIZE, message)
    .transform((text) => Math.round(measure(SIZE, BYTES, text)))
    .refine((bytes) => Number.isSafeInteger(bytes), message);
}

function measure(form: RegExp, units: Readonly<Record<string, number>>, text: string): number {
  const [, number = '', unit = ''] = form.exec(text) ?? [];
  return Number(number) * (units[unit] ?? Number.NaN);
}

/** Seconds as the fleet file writes them: in the largest unit that leaves no rest. */
export function durationText(seconds: number): string {
  for (const unit of ['d', 'h', 'm'] as const) {
    const size = SECONDS[unit] ?? 1;
    if (seconds >= size && seconds % size === 0) return `${seconds / size}${unit}`;
  }
  return `${seconds}s`;
}

/** Bytes as the fleet file writes them: in the largest unit that leaves no rest. */
export function sizeText(bytes: number): string {
  for (const unit of ['TiB', 'GiB', 'MiB', 'KiB', 'TB', 'GB', 'MB', 'kB'] as const) {
    const size = BYTES[unit] ?? 1;
    if (bytes >= size && bytes % size === 0) return `${bytes / size}${unit}`;
  }
  return `${bytes}B`;
}
