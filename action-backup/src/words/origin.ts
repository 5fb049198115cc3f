/** Who made a backup and where that can be looked up, as far as the runner says. */
export function originOf(env: Readonly<Record<string, string | undefined>>): { actor?: string; runUrl?: string } {
  const { GITHUB_ACTOR: actor, GITHUB_SERVER_URL: server, GITHUB_REPOSITORY: repository, GITHUB_RUN_ID: id } = env;
  return {
    ...(actor ? { actor } : {}),
    ...(server && repository && id ? { runUrl: `${server}/${repository}/actions/runs/${id}` } : {}),
  };
}
