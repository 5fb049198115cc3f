import * as core from '@actions/core';

import { explain, scrubSecrets } from '../errors/index.js';
import { StoppedError, type FleetReport } from '../fleet/index.js';
import { writeSummary } from './announce.js';
import { redact, rememberSecret, secretForms } from './masking.js';
import { printable, printableLine } from './printable.js';
import { listenForStop, type Stop } from './stop.js';
import { renderFailure } from './summary.js';

/** What an action's main function is given by its surroundings. */
export interface ActionContext {
  readonly stop: Stop;
  readonly startedAt: Date;
  /** Reads the raw text of an input; empty when it was not set. */
  readonly readInput: (name: string) => string;
  /** Makes the runner replace a secret, in all its forms, by asterisks from now on. */
  readonly mask: (secret: string) => void;
}

/** Well inside the 5 s that a run has to end itself in after a cancellation. */
const LAST_RESORT_MS = 4_500;

/**
 * Runs an action from start to end: listens for cancellation, turns whatever escapes into one readable error, and ends
 * the process, so that a connection somebody forgot cannot keep a finished job waiting.
 */
export async function runAction(
  name: FleetReport['action'],
  main: (context: ActionContext) => Promise<void>,
): Promise<void> {
  const stop = listenForStop(process);
  stop.signal.addEventListener('abort', () => {
    setTimeout(() => endProcess(1), LAST_RESORT_MS).unref();
  });
  try {
    await main({
      stop,
      startedAt: new Date(),
      readInput: (name) => core.getInput(name),
      mask: (secret) => {
        for (const form of secretForms(secret)) {
          if (rememberSecret(form)) core.setSecret(form);
        }
      },
    });
  } catch (thrown) {
    const { message, code, hint } = explain(thrown);
    const story = [message + (code === undefined || message.includes(code) ? '' : ` (${code})`), hint ?? ''];
    const text = story.join('\n').trim();
    // A step that ended before there was anything to report still tells the steps after it how it ended.
    const verdict = thrown instanceof StoppedError ? 'incomplete' : 'failed';
    core.setOutput('verdict', verdict);
    for (const count of ['succeeded', 'unchanged', 'failed', 'skipped']) core.setOutput(count, 0);
    core.setOutput('message', redact(printableLine(message)));
    await writeSummary(renderFailure(name, verdict, redact(text)));
    core.setFailed(printable(text));
    if (thrown instanceof Error && thrown.stack !== undefined) core.debug(printable(scrubSecrets(thrown.stack)));
  }
  stop.dispose();
  endProcess(process.exitCode ?? 0);
}

function endProcess(code: string | number): void {
  // What was written to a pipe is only there once it has been taken.
  process.stdout.write('', () => process.exit(code));
}
