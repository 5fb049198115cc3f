import { parseFaults } from '../faults/rules.js';
import { ApiError, badRequest } from './errors.js';
import { recordState } from './copies.js';
import { branchOf, type Answer, type World } from './world.js';

/** The stand-in's own controls: `/_local/faults` and `/_local/states`. @throws Error for what it can't make sense of */
export async function adminAnswer(world: World, method: string, url: URL, body: unknown): Promise<Answer> {
  switch (`${method} ${url.pathname}`) {
    case 'GET /_local/faults':
      return { status: 200, body: { rules: world.faults.list() } };
    case 'PUT /_local/faults':
      world.faults.load(body);
      return { status: 200, body: { rules: world.faults.list() } };
    case 'POST /_local/faults':
      world.faults.add(...parseFaults(body).rules);
      return { status: 200, body: { rules: world.faults.list() } };
    case 'DELETE /_local/faults':
      world.faults.clear();
      return { status: 200, body: { rules: [] } };
    case 'POST /_local/states':
      return { status: 201, body: await record(world, url) };
    default:
      throw new ApiError(
        404,
        '',
        `there is no ${method} ${url.pathname}; there are GET, PUT, POST and DELETE /_local/faults, and POST /_local/states`,
      );
  }
}

async function record(world: World, url: URL) {
  const project = world.store.get(url.searchParams.get('project_id') ?? '');
  if (!project) throw badRequest('project_id in the query must name a project');
  const state = await recordState(world, project, branchOf(project, url.searchParams.get('branch_id') ?? undefined));
  return { lsn: state.lsn, timestamp: new Date(state.at).toISOString() };
}
