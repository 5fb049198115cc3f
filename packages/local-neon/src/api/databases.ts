import type { DatabaseCreateRequest, DatabaseUpdateRequest } from '@neondatabase/api-client';
import { conflict, unprocessable } from './errors.js';
import { databaseBody, operationBody } from './render.js';
import {
  created,
  databaseOf,
  ok,
  roleOf,
  schedule,
  theBranch,
  theProject,
  type Call,
  type Handler,
  type Handlers,
  type World,
} from './world.js';
import type { BranchRecord, DatabaseRecord, ProjectRecord } from '../state/model.js';

const RESERVED = new Set(['postgres', 'template0', 'template1']);

function answer(world: World, call: Call, project: ProjectRecord, branch: BranchRecord, database: DatabaseRecord) {
  const operations = schedule(world, call, project, [{ action: 'apply_config', branchId: branch.id }]);
  const rendered = operations.map((operation) => operationBody(project, operation, call.now));
  return { database: databaseBody(branch, database), operations: rendered };
}

const createProjectBranchDatabase: Handler = (world, call) => {
  const project = theProject(world, call);
  const branch = theBranch(project, call);
  const { name, owner_name: owner } = (call.body as DatabaseCreateRequest).database;
  if (RESERVED.has(name)) throw unprocessable(`database name ${name} is reserved`);
  if (branch.databases.has(name)) throw conflict('DATABASE_ALREADY_EXISTS', `database ${name} already exists`);
  roleOf(project, owner);
  return created(answer(world, call, project, branch, world.store.newDatabase(project, branch, name, owner, call.now)));
};

const updateProjectBranchDatabase: Handler = async (world, call) => {
  const project = theProject(world, call);
  const branch = theBranch(project, call);
  const database = databaseOf(branch, call.parameters['database_name'] ?? '');
  const { name, owner_name: owner } = (call.body as DatabaseUpdateRequest).database;
  if (name !== undefined && name !== database.name) {
    if (branch.databases.has(name)) throw conflict('DATABASE_ALREADY_EXISTS', `database ${name} already exists`);
    branch.databases.delete(database.name);
    database.name = name;
    branch.databases.set(name, database);
  }
  if (owner !== undefined) {
    database.ownerName = roleOf(project, owner).name;
    await world.databases.setOwner(project, database);
  }
  database.updatedAt = call.now;
  return ok(answer(world, call, project, branch, database));
};

const deleteProjectBranchDatabase: Handler = async (world, call) => {
  const project = theProject(world, call);
  const branch = theBranch(project, call);
  const database = databaseOf(branch, call.parameters['database_name'] ?? '');
  branch.databases.delete(database.name);
  await world.databases.drop(database);
  return ok(answer(world, call, project, branch, database));
};

export const databaseHandlers: Handlers = {
  createProjectBranchDatabase,
  updateProjectBranchDatabase,
  deleteProjectBranchDatabase,
  listProjectBranchDatabases: (world, call) => {
    const branch = theBranch(theProject(world, call), call);
    return ok({ databases: [...branch.databases.values()].map((database) => databaseBody(branch, database)) });
  },
  getProjectBranchDatabase: (world, call) => {
    const branch = theBranch(theProject(world, call), call);
    return ok({ database: databaseBody(branch, databaseOf(branch, call.parameters['database_name'] ?? '')) });
  },
};
