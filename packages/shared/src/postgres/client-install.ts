import { ExplainedError } from '../errors/index.js';
import { childEnvironment, exitWords, runProgram, type Environment, type ProgramOptions } from '../processes/index.js';

export interface ClientInstallation {
  readonly major: number;
  /** The client programs, or the server's, which a drill restores into. */
  readonly part?: 'client' | 'server';
  readonly env: Environment;
  readonly signal?: AbortSignal | undefined;
  readonly onNote: (line: string) => void;
  /** Replaced in tests. */
  readonly run?: (options: ProgramOptions) => Promise<{ code: number | null; stderr: string }>;
  readonly isRoot?: boolean;
}

type Command = readonly [file: string, ...args: string[]];

/** What apt needs of the environment besides the usual: how to reach the network, and that nobody will answer questions. */
const APT_VARIABLES = ['http_proxy', 'https_proxy', 'no_proxy', 'HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY'] as const;

const PGDG_SCRIPT = '/usr/share/postgresql-common/pgdg/apt.postgresql.org.sh';

/** The commands, in words, that a person would type. */
export function installCommands(major: number, part: 'client' | 'server' = 'client'): string {
  return `sudo apt-get update && sudo apt-get install -y ${packageOf(major, part)}`;
}

function packageOf(major: number, part: 'client' | 'server'): string {
  return part === 'client' ? `postgresql-client-${major}` : `postgresql-${major}`;
}

/**
 * Installs the client programs of a major version with apt: from the distribution, else from PostgreSQL's own repository
 * (PGDG), as root or with a sudo that asks no password.
 *
 * @throws ExplainedError with the exact command when it cannot.
 */
export async function installClient(installation: ClientInstallation): Promise<void> {
  const { major, part = 'client', env, signal, onNote, run = runProgram } = installation;
  const what = part === 'client' ? 'pg_dump and psql' : 'the server programs of PostgreSQL';
  const root = installation.isRoot ?? process.getuid?.() === 0;
  const attempt = async (command: Command): Promise<string | undefined> => {
    const [file, ...args] = asRoot(command, root);
    try {
      const exit = await run({ file, args, env: aptEnvironment(env), signal });
      return exit.code === 0
        ? undefined
        : `${command.join(' ')} ${exitWords({ code: exit.code, signal: null })}: ${lastLine(exit.stderr)}`;
    } catch (thrown) {
      signal?.throwIfAborted();
      return `${command.join(' ')} could not be run (${thrown instanceof Error ? thrown.message : 'no reason given'})`;
    }
  };

  onNote(`${what} ${major} are not here; installing them with apt`);
  const client: Command = ['apt-get', 'install', '-y', '--no-install-recommends', packageOf(major, part)];
  const problems: string[] = [];
  const succeeds = async (command: Command) => {
    const problem = await attempt(command);
    if (problem !== undefined) problems.push(problem);
    return problem === undefined;
  };

  // A list of packages that could not be renewed may be good enough.
  const updated = await succeeds(['apt-get', 'update']);
  if (updated || problems.every((problem) => !problem.includes('could not be run'))) {
    if (await succeeds(client)) return;
    const repository: Command[] = [
      ['apt-get', 'install', '-y', '--no-install-recommends', 'postgresql-common', 'ca-certificates'],
      [PGDG_SCRIPT, '-y'],
      client,
    ];
    onNote('the distribution does not have them; adding the repository of the PostgreSQL project (PGDG)');
    let going = true;
    for (const command of repository) going &&= await succeeds(command);
    if (going) return;
  }
  throw new ExplainedError({
    message: `${what} ${major} or newer are needed, are not on this machine, and could not be installed: ${problems.at(-1) ?? 'no reason given'}`,
    hint: `Run before this step: ${installCommands(major, part)} (should the distribution not have that version, first: sudo apt-get install -y postgresql-common && sudo ${PGDG_SCRIPT} -y).`,
  });
}

function asRoot(command: Command, root: boolean): Command {
  return root ? command : ['sudo', '-n', 'env', 'DEBIAN_FRONTEND=noninteractive', ...command];
}

function aptEnvironment(env: Environment): Record<string, string> {
  const own = Object.fromEntries(APT_VARIABLES.map((name) => [name, env[name]]));
  return childEnvironment(env, { ...own, DEBIAN_FRONTEND: 'noninteractive' });
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1)?.slice(0, 300) ?? '';
}
