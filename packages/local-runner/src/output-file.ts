import { z } from 'zod';

const outputsSchema = z.record(z.string(), z.string());

/**
 * Reads a `GITHUB_OUTPUT` file: `name=value` lines and `name<<delimiter` blocks, as the runner documents them.
 *
 * @throws when the file ends within a block.
 */
export function parseOutputs(text: string): Record<string, string> {
  const outputs = new Map<string, string>();
  const lines = text.split('\n');
  for (let index = 0; index < lines.length; index += 1) {
    const line = lines[index] ?? '';
    const block = /^([^=<]+)<<(.+)$/.exec(line);
    if (block !== null) {
      const [, name = '', delimiter = ''] = block;
      const end = lines.indexOf(delimiter, index + 1);
      if (end === -1) throw new Error(`the output ${name} does not end`);
      outputs.set(name, lines.slice(index + 1, end).join('\n'));
      index = end;
      continue;
    }
    const equals = line.indexOf('=');
    if (equals > 0) outputs.set(line.slice(0, equals), line.slice(equals + 1));
  }
  return outputsSchema.parse(Object.fromEntries(outputs));
}
