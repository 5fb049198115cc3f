import { trustSource, type TrustEnvironment } from '@neon-fleet/shared/postgres';
import { childEnvironment, type Environment } from '@neon-fleet/shared/processes';

/**
 * The environment that drizzle-kit gets: what every child process gets, and whom to trust. Nothing that the step was given
 * is in it, since a repository's `drizzle.config.ts` is code that runs there.
 */
export function kitEnvironment(env: Environment & TrustEnvironment, own: Environment = {}): Record<string, string> {
  const trust = trustSource(env);
  return childEnvironment(env, {
    CI: 'true',
    NO_COLOR: '1',
    // By this a runner recognises what it has to end after a job.
    RUNNER_TRACKING_ID: env['RUNNER_TRACKING_ID'],
    // drizzle-kit's drivers run in Node, which knows nothing of PGSSLROOTCERT.
    ...(trust.kind === 'public' ? {} : { NODE_EXTRA_CA_CERTS: trust.path }),
    ...own,
  });
}

/** What drizzle-kit sees in place of the URL where it must not connect: a config that insists on one is content. */
export const NO_DATABASE = 'postgresql://nobody@127.0.0.1:1/nothing';

/**
 * The URL as drizzle-kit's drivers understand it: `sslmode=require` means to them what it does here only when it is spelled
 * out as `verify-full`, and `channel_binding` they do not know; one of them would send it to the server as a setting.
 */
export function urlForKit(uri: string): string {
  const url = new URL(uri);
  if (['require', 'verify-ca'].includes(url.searchParams.get('sslmode') ?? '')) {
    url.searchParams.set('sslmode', 'verify-full');
  }
  url.searchParams.delete('channel_binding');
  return url.href;
}
