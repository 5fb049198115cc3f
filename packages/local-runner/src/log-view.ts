/** One line of a step's log as a person sees it on GitHub, and what kind of line it is. */
export interface LogLine {
  readonly kind: 'text' | 'group' | 'error' | 'warning';
  readonly text: string;
}

const COMMAND = /^::([a-z-]+)(?: [^:]*)?::(.*)$/;

/**
 * Shows a step's log as a runner would: commands become what they stand for, masked values become asterisks.
 */
export class LogView {
  readonly #masks = new Set<string>();
  #rest = '';

  /** Takes the next piece of the log and gives the lines that are complete. */
  push(text: string): LogLine[] {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    return lines.flatMap((line) => this.#read(line));
  }

  #read(line: string): LogLine[] {
    const command = COMMAND.exec(line);
    if (command === null) return [{ kind: 'text', text: this.#masked(line) }];
    const [, name = '', value = ''] = command;
    const data = unescapeData(value);
    switch (name) {
      case 'add-mask':
        if (data.trim() !== '') this.#masks.add(data);
        return [];
      case 'group':
      case 'error':
      case 'warning':
        return [{ kind: name, text: this.#masked(data) }];
      case 'notice':
        return [{ kind: 'text', text: this.#masked(data) }];
      default:
        return [];
    }
  }

  #masked(text: string): string {
    let masked = text;
    for (const mask of this.#masks) masked = masked.replaceAll(mask, '***');
    return masked;
  }
}

/** Takes the escaping of workflow commands back. */
export function unescapeData(value: string): string {
  return value.replaceAll('%0D', '\r').replaceAll('%0A', '\n').replaceAll('%25', '%');
}
