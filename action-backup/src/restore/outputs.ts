import * as core from '@actions/core';
import { setSecretOutput } from '@neon-fleet/shared/actions';
import { parseConnectionUri } from '@neon-fleet/shared/postgres';

/** What a restore has made to restore into. */
export interface Made {
  readonly projectId: string;
  /** Absent: a project of its own. */
  readonly branchId?: string;
  readonly database: string;
  /** A secret. */
  readonly uri: string;
}

/** Tells the steps after this one what was made, as soon as it is there: also a restore that fails then leaves it. */
export function tellMade({ projectId, branchId, database, uri }: Made, mask: (secret: string) => void): void {
  mask(uri);
  core.setOutput('project-id', projectId);
  if (branchId !== undefined) core.setOutput('branch-id', branchId);
  core.setOutput('host', parseConnectionUri(uri).host);
  core.setOutput('restored-database', database);
  setSecretOutput('connection-uri', uri);
}
