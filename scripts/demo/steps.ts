import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

import type { LocalNeon } from '@neon-fleet/local-neon';
import { LogView, startAction, type ActionRun, type FinishedAction } from '@neon-fleet/local-runner';
import { fleetReportSchema } from '@neon-fleet/shared/fleet';

import { ROOT, type ActionName } from '../actions.js';

/** Runs the steps of the demo's workflow one after another, as a job of a runner would. */
export class Job {
  readonly summaries: string[] = [];
  /** A step that is running, or about to: cancelling must find it from the first moment on. */
  #running: Promise<ActionRun> | undefined;
  #cancelled = false;

  constructor(
    private readonly neon: LocalNeon,
    private readonly folders: { readonly app: string; readonly summaries: string },
    private readonly verbose: boolean,
  ) {}

  /** Runs one bundled action. @throws Error when it does not end well. */
  async step(title: string, action: ActionName, inputs: Readonly<Record<string, string>>): Promise<FinishedAction> {
    if (this.#cancelled) throw new Error('the job was cancelled');
    console.log(`\n● ${title}`);
    const view = new LogView();
    this.#running = startAction({
      bundle: path.join(ROOT, 'dist', action, 'index.js'),
      cwd: this.folders.app,
      inputs: {
        'neon-api-key': this.neon.apiKey,
        'neon-api-url': this.neon.apiUrl,
        // The stand-in has no limit, and nobody waits for a demo.
        'neon-api-rate': '100000',
        ...inputs,
      },
      env: {
        NODE_EXTRA_CA_CERTS: this.neon.caFile,
        AWS_ACCESS_KEY_ID: this.neon.s3.accessKeyId,
        AWS_SECRET_ACCESS_KEY: this.neon.s3.secretAccessKey,
        // On GitHub the actions run on Node 24, whatever this machine has.
        AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true',
      },
      onLog: (text) => {
        for (const line of view.push(text)) {
          if (this.verbose || line.kind !== 'text') console.log(`  ${line.text}`);
        }
      },
    });
    const { finished: end } = await this.#running;
    const finished = await end;
    this.#running = undefined;
    await this.#keep(action, finished);
    if (finished.exitCode !== 0) {
      throw new Error(
        `${action} ended with ${finished.exitCode ?? finished.signal ?? 'nothing'}:\n${finished.log.slice(-2_000)}`,
      );
    }
    return finished;
  }

  /** Ends the step that is running, as a runner cancels one; no other one is started. */
  async cancel(): Promise<void> {
    this.#cancelled = true;
    try {
      const running = await this.#running;
      running?.cancel();
      await running?.finished;
    } catch {
      // It did not start, or left nothing to read: whoever waits for the step is told.
    }
  }

  async #keep(action: ActionName, { summary, report }: FinishedAction): Promise<void> {
    const file = path.join(this.folders.summaries, `${this.summaries.length + 1}-${action}.md`);
    await mkdir(this.folders.summaries, { recursive: true });
    await writeFile(file, summary);
    if (report === undefined) return;
    this.summaries.push(textSummary(report));
    await writeFile(file.replace(/\.md$/, '.json'), report);
  }
}

const SHOWN_ROWS = 8;

/** The job summary for a terminal, which cannot show the HTML of the real one. */
function textSummary(reportJson: string): string {
  const report = fleetReportSchema.parse(JSON.parse(reportJson));
  const { counts, outcomes } = report;
  const rows = outcomes.slice(0, SHOWN_ROWS).map(({ name, status, durationMs, detail }) => {
    const time = `${(durationMs / 1_000).toFixed(2)} s`;
    return `    ${status.padEnd(11)}${time.padStart(8)}  ${name.padEnd(14)}  ${detail}`;
  });
  const more = outcomes.length - rows.length;
  return [
    `  ${report.action}${report.command === 'run' ? '' : ` ${report.command}`}: ${report.verdict}` +
      ` (${counts.succeeded} done, ${counts.unchanged} unchanged, ${counts.failed} failed, ${counts.skipped} skipped, ${(report.durationMs / 1_000).toFixed(1)} s)`,
    ...rows,
    ...(more > 0 ? [`    and ${more} more`] : []),
  ].join('\n');
}

/** Adds a column to the app's schema and lets drizzle-kit write the migration for it; drizzle-kit ends with the signal. */
export async function addSecondMigration(app: string, signal: AbortSignal): Promise<void> {
  const schema = path.join(app, 'src', 'db', 'schema.ts');
  const before = await readFile(schema, 'utf8');
  const after = before
    .replace('boolean, index', 'boolean, index, integer')
    .replace(`    done: boolean`, `    priority: integer('priority').notNull().default(0),\n    done: boolean`);
  if (after === before) throw new Error(`${schema} is not the schema that the demo knows`);
  await writeFile(schema, after);
  const drizzleKit = path.join(ROOT, 'node_modules', 'drizzle-kit', 'bin.cjs');
  await promisify(execFile)(process.execPath, [drizzleKit, 'generate', '--name', 'task_priority'], {
    cwd: app,
    signal,
  });
}
