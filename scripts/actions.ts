import path from 'node:path';

/** The actions of this repository, in the order in which a newcomer meets them. */
export const ACTIONS = ['provision', 'migrate', 'backup'] as const;
export type ActionName = (typeof ACTIONS)[number];

/** The top of the checkout. */
export const ROOT = path.resolve(import.meta.dirname, '..');
