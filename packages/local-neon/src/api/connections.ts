import { isCreating } from '../faults/faults.js';
import { notFound } from './errors.js';
import { connectionUri } from './render.js';
import { writeEndpoint } from '../state/store.js';
import { branchOf, databaseOf, ok, roleOf, theProject, type Handler, type Handlers } from './world.js';

const getConnectionURI: Handler = async (world, call) => {
  const project = theProject(world, call);
  const query = call.query as {
    branch_id?: string;
    endpoint_id?: string;
    database_name: string;
    role_name: string;
    pooled?: boolean;
  };
  const named = query.endpoint_id === undefined ? undefined : project.endpoints.get(query.endpoint_id);
  if (query.endpoint_id !== undefined && !named) throw notFound('ENDPOINT_NOT_FOUND', 'endpoint');
  const branch = branchOf(project, query.branch_id ?? named?.branchId);
  const endpoint = named ?? writeEndpoint(project, branch.id);
  if (endpoint?.branchId !== branch.id) throw notFound('ENDPOINT_NOT_FOUND', `endpoint of branch ${branch.id}`);
  const database = databaseOf(branch, query.database_name);
  const role = roleOf(project, query.role_name);
  if (isCreating(world.faults, project)) throw notFound('ENDPOINT_NOT_FOUND', `endpoint of branch ${branch.id}`);
  const host = await world.gateway.host(project, endpoint, query.pooled === true ? 'pooled' : 'direct');
  return ok({ uri: connectionUri(host, role, database.name) });
};

export const connectionHandlers: Handlers = { getConnectionURI };
