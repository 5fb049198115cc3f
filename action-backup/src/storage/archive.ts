import { randomUUID } from 'node:crypto';

import * as core from '@actions/core';
import { openStorage, printableLine, type StorageInputs } from '@neon-fleet/shared/actions';
import { explain } from '@neon-fleet/shared/errors';
import type { FleetReport, Plan } from '@neon-fleet/shared/fleet';

import { originOf } from '../words/origin.js';

/** Where reports are kept, taken apart. */
export interface ArchivePlace {
  readonly bucket: string;
  /** Empty, or with a slash at its end. */
  readonly prefix: string;
}

const ARCHIVE = /^s3:\/\/([A-Za-z0-9][A-Za-z0-9._-]{1,254})(?:\/([A-Za-z0-9!_.*'()=/-]*))?$/;

/** Reads `s3://bucket/folder`. @throws Error for everything else */
export function parseArchivePlace(text: string): ArchivePlace {
  const found = ARCHIVE.exec(text);
  if (found?.[1] === undefined) throw new Error('not of the form s3://bucket/folder');
  const folder = (found[2] ?? '').replace(/^\/+|\/+$/g, '');
  return { bucket: found[1], prefix: folder === '' ? '' : `${folder}/` };
}

interface ArchiveValues extends StorageInputs {
  readonly reportTo: ArchivePlace | undefined;
}

/**
 * Keeps a report, with who ran what and of which commit, where audits look for it when the artifacts are gone. That it
 * could not be kept makes the step fail: an audit trail with holes is found out too late.
 */
export async function archive(values: ArchiveValues, report: FleetReport | undefined, plan?: Plan): Promise<void> {
  const { reportTo } = values;
  if (reportTo === undefined || report === undefined) return;
  const { env } = process;
  const store = openStorage({ ...values, s3Bucket: reportTo.bucket }, env);
  const commit = env['GITHUB_SHA'];
  const record = {
    schemaVersion: 1,
    ...originOf(env),
    ...(commit ? { commit } : {}),
    report,
    ...(plan ? { plan } : {}),
  };
  const day = report.startedAt.slice(0, 10);
  const run = `${env['GITHUB_RUN_ID'] ?? 'local'}-${env['GITHUB_RUN_ATTEMPT'] ?? '1'}`;
  const key = `${reportTo.prefix}${day}/${report.action}-${report.command}-${run}-${randomUUID()}.json`;
  try {
    const body = Buffer.from(`${JSON.stringify(record, null, 2)}\n`);
    await store.put({ key, contentType: 'application/json', metadata: {} }, body);
    core.info(printableLine(`The report is kept as s3://${reportTo.bucket}/${key}`));
  } catch (thrown) {
    core.setFailed(printableLine(`The report could not be kept (report-to): ${explain(thrown).message}`));
  }
}
