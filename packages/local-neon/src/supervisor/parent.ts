/** Commands of npm that run something with a shell in between, which may end at a signal without passing it on. */
const NPM_COMMANDS: ReadonlySet<string | undefined> = new Set(['exec', 'run', 'run-script']);
const LOOK_EVERY_MS = 250;

/** The part of `process` that is looked at. */
export interface ChildOfNpm {
  readonly env: { readonly npm_command?: string };
  /** The parent of this moment: another one when the first has ended. */
  readonly ppid: number;
}

/**
 * Calls back once when whoever started this process with npm or npx is gone: that is how a SIGTERM to npm alone shows.
 * Not for other parents, which may well start something that is to outlive them.
 *
 * It keeps no process alive.
 */
export function whenNpmIsGone(onGone: () => void, self: ChildOfNpm = process): void {
  if (!NPM_COMMANDS.has(self.env.npm_command)) return;
  const parent = self.ppid;
  const timer = setInterval(() => {
    if (self.ppid === parent) return;
    clearInterval(timer);
    onGone();
  }, LOOK_EVERY_MS);
  timer.unref();
}
