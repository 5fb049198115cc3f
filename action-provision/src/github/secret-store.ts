import { GitHubError, openGitHub, readAnswer } from '@neon-fleet/shared/actions';
import { z } from 'zod';

import { seal } from './seal.js';

/** The secrets of a repository, or of one of its environments. */
export interface SecretStore {
  /** Where they are, in words. */
  readonly place: string;
  list(): Promise<readonly string[]>;
  /** Writes a secret, in the place of an earlier one. */
  put(name: string, value: string): Promise<void>;
  /** What is not there counts as removed. */
  remove(name: string): Promise<void>;
}

export interface SecretStoreOptions {
  readonly token: string;
  /** `owner/name` */
  readonly repository: string;
  /** Absent: the repository's own secrets. */
  readonly environment?: string | undefined;
  readonly apiUrl: string;
  readonly signal: AbortSignal;
}

const listSchema = z.object({ secrets: z.array(z.object({ name: z.string() })) });
const keySchema = z.object({ key_id: z.string(), key: z.string() });

const PAGE = 100;

/** Opens the secrets of a repository or environment. Every method throws a {@link GitHubError}. */
export function openSecretStore({ token, repository, environment, apiUrl, signal }: SecretStoreOptions): SecretStore {
  const [owner = '', repo = ''] = repository.split('/').map(encodeURIComponent);
  const base =
    environment === undefined
      ? `/repos/${owner}/${repo}/actions/secrets`
      : `/repos/${owner}/${repo}/environments/${encodeURIComponent(environment)}/secrets`;
  const hint = `The token needs to write secrets${environment === undefined ? '' : ' of environments'} of ${repository}, which GITHUB_TOKEN cannot: use a fine-grained token or that of a GitHub App (Secrets, and with github-environment also Environments: read and write). Does the repository${environment === undefined ? '' : ` and its environment ${JSON.stringify(environment)}`} exist?`;

  const github = openGitHub({ token, apiUrl, signal, hint });
  // Each of them may be sent twice: what is written is the same.
  const call = (operation: string, method: string, path: string, body: object = {}) =>
    github({ operation, route: `${method} ${base}${path}`, body });

  let key: Promise<z.infer<typeof keySchema>> | undefined;
  return {
    place: environment === undefined ? repository : `the environment ${JSON.stringify(environment)} of ${repository}`,

    async list() {
      const names: string[] = [];
      for (let page = 1; ; page += 1) {
        const answer = await call('list secrets', 'GET', `?per_page=${PAGE}&page=${page}`);
        const { secrets } = readAnswer('list secrets', listSchema, answer);
        names.push(...secrets.map(({ name }) => name));
        if (secrets.length < PAGE) return names;
      }
    },

    async put(name, value) {
      key ??= call('get public key', 'GET', '/public-key').then((answer) =>
        readAnswer('get public key', keySchema, answer),
      );
      const { key_id, key: publicKey } = await key;
      const encrypted_value = await seal(value, { key: publicKey });
      await call('write secret', 'PUT', `/${name}`, { encrypted_value, key_id });
    },

    async remove(name) {
      try {
        await call('remove secret', 'DELETE', `/${name}`);
      } catch (thrown) {
        if (!(thrown instanceof GitHubError && thrown.status === 404)) throw thrown;
      }
    },
  };
}
