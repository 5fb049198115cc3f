import { placeFor, type Place, type PlaceInputs } from '@neon-fleet/shared/backups';
import { parseRetention, type BackupSettings, type RetentionPolicy } from '@neon-fleet/shared/fleet';

/** The inputs that are the policy of everybody of whom the fleet file says nothing else. */
export interface PolicyInputs extends PlaceInputs {
  /** In milliseconds. */
  readonly every: number | undefined;
  readonly retention: RetentionPolicy | undefined;
}

/** When a tenant is backed up, where to, and what is kept. */
export interface Policy {
  readonly place: Place;
  /** Undefined: whenever it is asked for. */
  readonly everyMs: number | undefined;
  /** Undefined: nothing is deleted. */
  readonly retention: RetentionPolicy | undefined;
}

/** The policy of one tenant: what the fleet file says, else the inputs, each setting by itself. */
export function policyOf(inputs: PolicyInputs, own: BackupSettings = {}): Policy {
  return {
    place: placeFor(inputs, own),
    everyMs: own.every === undefined ? inputs.every : own.every * 1_000,
    retention: own.retention === undefined ? inputs.retention : parseRetention(own.retention),
  };
}
