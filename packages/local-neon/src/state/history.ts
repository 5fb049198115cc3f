import type { BranchRecord, DatabaseRecord, RecordedState } from './model.js';

/** A moment in a branch's past, as a request names it. */
export interface Moment {
  readonly lsn?: string | undefined;
  readonly timestamp?: string | undefined;
}

/** Position in the log as a number, or `undefined` when the text is none. */
export function parseLsn(text: string): bigint | undefined {
  const match = /^([0-9A-F]{1,8})\/([0-9A-F]{1,8})$/i.exec(text);
  return match?.[1] === undefined || match[2] === undefined
    ? undefined
    : (BigInt(`0x${match[1]}`) << 32n) + BigInt(`0x${match[2]}`);
}

/** What a branch held at a moment: the newest state that was recorded by then. */
export function stateAt(branch: BranchRecord, moment: Moment): RecordedState | undefined {
  const lsn = moment.lsn === undefined ? undefined : parseLsn(moment.lsn);
  const at = moment.timestamp === undefined ? undefined : Date.parse(moment.timestamp);
  return branch.states.findLast((state) => {
    if (at !== undefined) return state.at <= at;
    return lsn !== undefined && (parseLsn(state.lsn) ?? 0n) <= lsn;
  });
}

/** The databases that a branch made now would start from; `undefined` when the moment is none that was recorded. */
export function databasesAt(branch: BranchRecord, moment: Moment): readonly DatabaseRecord[] | undefined {
  if (moment.lsn === undefined && moment.timestamp === undefined) return [...branch.databases.values()];
  return stateAt(branch, moment)?.databases;
}
