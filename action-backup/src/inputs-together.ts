import { migrationsFolderProblems, showGiven, type InputProblem } from '@neon-fleet/shared/actions';
import { isObjectKey } from '@neon-fleet/shared/backups';
import { parseConnectionUri } from '@neon-fleet/shared/postgres';

import { templateProblem } from './restore/target-template.js';

type Read = (name: string) => string;
/** What an input accepts, in words. */
type AcceptedBy = (name: string) => string;

/** Finds what is wrong about inputs that are each right by themselves. */
export function problemsTogether(command: string, read: Read, acceptedBy: AcceptedBy): InputProblem[] {
  const ofCommand =
    command === 'restore'
      ? [...restoreProblems(read, acceptedBy), ...migrateToProblems(read)]
      : command === 'verify'
        ? verifyProblems(read, acceptedBy)
        : [];
  return [...ofCommand, ...lockProblems(read), ...keyProblems(read)];
}

/** S3 refuses a key that nothing is said to be encrypted with. */
function keyProblems(read: Read): InputProblem[] {
  const [key, sse] = [read('kms-key-id').trim(), read('sse').trim()];
  if (key === '' || sse.startsWith('aws:kms')) return [];
  const given = sse === '' ? 'nothing' : showGiven(sse);
  return [{ input: 'sse', given, accepted: 'aws:kms or aws:kms:dsse (kms-key-id is set)' }];
}

/** A lock needs both. */
function lockProblems(read: Read): InputProblem[] {
  const [mode, days] = [read('object-lock-mode').trim(), read('object-lock-days').trim()];
  const problems: InputProblem[] = [];
  if (mode !== '' && days === '')
    problems.push({
      input: 'object-lock-days',
      given: 'nothing',
      accepted: 'a number of days (object-lock-mode is set)',
    });
  if (days !== '' && mode === '')
    problems.push({
      input: 'object-lock-mode',
      given: 'nothing',
      accepted: 'GOVERNANCE or COMPLIANCE (object-lock-days is set)',
    });
  return problems;
}

function restoreProblems(read: Read, acceptedBy: AcceptedBy): InputProblem[] {
  const given = (name: string) => read(name).trim();
  const problems: InputProblem[] = [];
  const missing = (input: string, why = '') =>
    problems.push({ input, given: 'nothing', accepted: `${acceptedBy(input)}${why}` });
  const [backup, at, target, url] = [given('backup'), given('at'), given('target'), given('target-url')];
  const isMany = given('tenants') !== '';
  if (backup === '' && at === '') missing('backup');
  if (backup !== '' && at !== '')
    problems.push({ input: 'backup', given: showGiven(backup), accepted: 'nothing, when at is set' });
  if (isMany) problems.push(...manyProblems({ backup, tenant: given('tenant'), target }));
  else if ((backup === 'latest' || at !== '') && given('tenant') === '')
    missing('tenant', backup === 'latest' ? ' (backup is latest)' : ' (at is set)');
  if (backup !== '' && backup !== 'latest' && !isObjectKey(backup))
    problems.push({ input: 'backup', given: showGiven(backup), accepted: acceptedBy('backup') });
  if (target === 'branch' || target === 'new-project') {
    if (given('neon-api-key') === '') missing('neon-api-key', ` (target is ${target})`);
    if (url !== '')
      problems.push({ input: 'target-url', given: SECRET, accepted: `nothing, when target is ${target}` });
  } else if (url === '' && (isMany || target === 'url' || given('neon-api-key') === '')) missing('target-url');
  problems.push(...urlProblems(url, isMany, acceptedBy));
  return problems;
}

const SECRET = 'a value that is not shown because it is secret';

function manyProblems({ backup, tenant, target }: Record<'backup' | 'tenant' | 'target', string>): InputProblem[] {
  const problems: InputProblem[] = [];
  const refuse = (input: string, given: string, accepted: string) => {
    problems.push({ input, given: showGiven(given), accepted: `${accepted} (tenants is set)` });
  };
  if (tenant !== '') refuse('tenant', tenant, 'nothing');
  if (isObjectKey(backup)) refuse('backup', backup, 'latest');
  if (target === 'branch' || target === 'new-project') refuse('target', target, 'url');
  return problems;
}

function urlProblems(url: string, isTemplate: boolean, acceptedBy: AcceptedBy): InputProblem[] {
  if (url === '') return [];
  if (isTemplate) {
    const why = templateProblem(url);
    if (why === undefined) return [];
    const form = 'postgresql://user:…@host/{project-id}_{database}';
    return [{ input: 'target-url', given: SECRET, accepted: `${form}, and ${why} (tenants is set)` }];
  }
  try {
    parseConnectionUri(url);
    return [];
  } catch {
    return [{ input: 'target-url', given: SECRET, accepted: acceptedBy('target-url') }];
  }
}

function migrateToProblems(read: Read): InputProblem[] {
  const folder = read('migrations-folder').trim();
  if (read('migrate-to').trim() === '') return [];
  if (folder !== '') return migrationsFolderProblems(folder);
  const accepted = 'a folder that drizzle-kit generate writes (migrate-to is set)';
  return [{ input: 'migrations-folder', given: 'nothing', accepted }];
}

function verifyProblems(read: Read, acceptedBy: AcceptedBy): InputProblem[] {
  if (read('verify-in').trim() !== 'branch') return [];
  const problems: InputProblem[] = [];
  if (read('neon-api-key').trim() === '') {
    problems.push({
      input: 'neon-api-key',
      given: 'nothing',
      accepted: `${acceptedBy('neon-api-key')} (verify-in is branch)`,
    });
  }
  if (read('verify').trim() === 'checksum') {
    problems.push({ input: 'verify', given: '"checksum"', accepted: 'restore (verify-in is branch)' });
  }
  return problems;
}
