// Runs the server processes of one stand-in in a session of its own, and ends them when its standard input closes:
// that happens when the stand-in stops, and also when it is killed without a chance to clean up.
//
// usage: node session.js [DIRECTORY-TO-REMOVE-AT-THE-END …]
// stdin:  one JSON a line: {"run": {id, file, args, env, cwd, uid?, gid?, log}}
// stdout: one JSON a line: {id, event: "started", pid} | {id, event: "line", line} | {id, event: "exit", code, signal, error?}
import { spawn } from 'node:child_process';
import { closeSync, openSync, rmSync } from 'node:fs';
import { createInterface } from 'node:readline';

const directories = process.argv.slice(2);
const children = new Map();
let ending = false;

process.stdout.on('error', () => undefined); // nobody listens any more: the end of stdin tells the same
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, end);

const input = createInterface({ input: process.stdin });
input.on('line', (line) => {
  if (!ending) run(JSON.parse(line).run);
});
input.on('close', end);

function report(message) {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

function run({ id, file, args, env, cwd, uid, gid, log }) {
  const output = openSync(log, 'a', 0o600);
  const child = spawn(file, args, { cwd, env, uid, gid, stdio: ['ignore', 'pipe', output] });
  closeSync(output);
  children.set(id, child);
  child.once('spawn', () => report({ id, event: 'started', pid: child.pid }));
  createInterface({ input: child.stdout }).on('line', (line) => report({ id, event: 'line', line }));
  let over = false;
  const exited = (code, signal, error) => {
    if (over) return;
    over = true;
    children.delete(id);
    report({ id, event: 'exit', code, signal, ...(error ? { error } : {}) });
    finishWhenAlone();
  };
  child.once('error', (error) => exited(null, null, error.message));
  child.once('exit', (code, signal) => exited(code, signal));
}

function end() {
  if (ending) return;
  ending = true;
  const kill = (signal) => children.forEach((child) => child.kill(signal));
  kill('SIGINT'); // PostgreSQL: disconnect everybody and shut down
  setTimeout(() => kill('SIGQUIT'), 500); // PostgreSQL: shut down without writing anything
  setTimeout(() => kill('SIGKILL'), 5_000);
  finishWhenAlone();
}

function finishWhenAlone() {
  if (!ending || children.size > 0) return;
  for (const directory of directories) {
    rmSync(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  }
  process.exit(0);
}
