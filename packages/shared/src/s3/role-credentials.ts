import { fromWebToken } from '@aws-sdk/credential-provider-web-identity';

import { explain, ExplainedError } from '../errors/index.js';
import type { StoreCredentials } from './client.js';

export interface RoleOptions {
  readonly roleArn: string;
  readonly sessionName: string;
  readonly durationSeconds: number;
  readonly region: string | undefined;
  /** Mints a token of GitHub's that says which job this is; each lives for minutes only. */
  readonly mintToken: () => Promise<string>;
  /** Told of every secret before anything else sees it. */
  readonly onSecret: (secret: string) => void;
}

/**
 * Credentials of a role that a job may take by what GitHub says of it. The SDK asks again some minutes before they end,
 * and every time a new token is minted: so a job may be longer than any of them lives.
 */
export function roleCredentials(options: RoleOptions): () => Promise<StoreCredentials> {
  const { roleArn, sessionName, durationSeconds, region, mintToken, onSecret } = options;
  return async () => {
    const webIdentityToken = await mintToken().catch((thrown: unknown) => {
      throw noToken(thrown);
    });
    onSecret(webIdentityToken);
    try {
      const credentials = await fromWebToken({
        roleArn,
        webIdentityToken,
        roleSessionName: sessionName,
        durationSeconds,
        ...(region === undefined ? {} : { clientConfig: { region } }),
      })();
      onSecret(credentials.secretAccessKey);
      if (credentials.sessionToken !== undefined) onSecret(credentials.sessionToken);
      return credentials;
    } catch (thrown) {
      throw notAssumed(roleArn, thrown);
    }
  };
}

function noToken(thrown: unknown): ExplainedError {
  return new ExplainedError(
    {
      message: `GitHub gives this job no token to take the role with: ${explain(thrown).message}`,
      hint: 'Add to the job: permissions: id-token: write (and contents: read, if it checks out).',
    },
    { cause: thrown },
  );
}

function notAssumed(roleArn: string, thrown: unknown): ExplainedError {
  return new ExplainedError(
    {
      message: `the role ${roleArn} could not be taken: ${explain(thrown).message}`,
      hint: 'Does its trust policy name this repository and branch or environment, and does role-duration fit its maximum session duration?',
    },
    { cause: thrown },
  );
}
