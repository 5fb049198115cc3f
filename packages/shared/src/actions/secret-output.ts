import * as core from '@actions/core';

/**
 * Sets an output that holds a secret, which is masked already. Where there is no file for outputs they go to the log, as
 * GitHub took them once: there it is left out, with a warning.
 */
export function setSecretOutput(name: string, value: string): void {
  if (process.env['GITHUB_OUTPUT']) core.setOutput(name, value);
  else core.warning(`The output ${name} is not set: GITHUB_OUTPUT names no file, and it would be printed.`);
}
