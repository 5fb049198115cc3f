import type net from 'node:net';
import { networkInterfaces } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import tls from 'node:tls';
import { isCreating, type Faults, type RuleOf } from '../faults/faults.js';
import { connectionKinds } from '../faults/rules.js';
import { computeState, startCompute, touchCompute } from '../state/compute.js';
import type { EndpointRecord, ProjectRecord } from '../state/model.js';
import { busyUntil } from '../state/operations.js';
import type { Store } from '../state/store.js';
import type { Certificates } from './certificates.js';
import type { Cluster } from './cluster.js';
import type { PhysicalDatabases } from './databases.js';
import { connectUpstream, forwardCancel, greet, type Greeting } from './handshake.js';
import { recordBeforePosition } from './restore-points.js';
import { listenOnLoopback, type LoopbackPort } from './listen.js';
import {
  admit,
  noSuchDatabase,
  passwordFailed,
  quotaExceeded,
  stillCreating,
  type Admission,
  type DoorKind,
} from './admission.js';
import { errorResponse, startupPacket, type WireError } from './wire.js';

/** A door to an endpoint: direct, or through the pooler. */
interface Door extends LoopbackPort {
  /** Connections that were admitted through it. */
  used: number;
  readonly sockets: Set<net.Socket>;
}

export interface GatewayOptions {
  readonly store: Store;
  readonly cluster: Cluster;
  readonly databases: PhysicalDatabases;
  readonly certificates: Certificates;
  readonly faults: Faults;
  /** How long an idle compute takes to start, in milliseconds. */
  readonly coldStartMs: number;
  /** Called before a client learns the log's position, when restore points are wanted. Must not reject. */
  readonly beforePosition: ((project: ProjectRecord, branchId: string) => Promise<void>) | undefined;
  readonly log: (line: string) => void;
}

type ConnectionRule = RuleOf<(typeof connectionKinds)[number]>;

/** With this many doors open, further ones listen on 127.0.0.1 only, to save file descriptors. */
const DOORS_WITH_IPV6 = 2_000;

/** All endpoints as their clients see them: a TCP listener with TLS each, in front of the one real server. */
export class Gateway {
  readonly #options: GatewayOptions;
  readonly #context: tls.SecureContext;
  readonly #doors = new Map<string, Promise<Door>>();
  readonly #hasIpv6 = Object.values(networkInterfaces()).some((addresses) =>
    addresses?.some(({ address }) => address === '::1'),
  );
  #closed = false;

  constructor(options: GatewayOptions) {
    this.#options = options;
    this.#context = tls.createSecureContext({ cert: options.certificates.chain, key: options.certificates.key });
  }

  /** Host and port of an endpoint, as `localhost:PORT`. It listens from now on. */
  async host(project: ProjectRecord, endpoint: EndpointRecord, kind: DoorKind): Promise<string> {
    const door = await this.#door(project, endpoint, kind);
    return `localhost:${String(door.port)}`;
  }

  /** How many connections an endpoint's doors have admitted since the start. */
  async uses(endpointId: string): Promise<Record<DoorKind, number>> {
    const count = async (kind: DoorKind) => (await this.#doors.get(`${endpointId} ${kind}`))?.used ?? 0;
    return { direct: await count('direct'), pooled: await count('pooled') };
  }

  /** Ends the connections of an endpoint, as suspending or restoring does. */
  async disconnect(endpointId: string): Promise<void> {
    for (const kind of ['direct', 'pooled'] as const) {
      const door = await this.#doors.get(`${endpointId} ${kind}`);
      door?.sockets.forEach((socket) => socket.destroy());
    }
  }

  /** Stops listening for an endpoint. */
  async remove(endpointId: string): Promise<void> {
    await this.disconnect(endpointId);
    for (const kind of ['direct', 'pooled'] as const) {
      const key = `${endpointId} ${kind}`;
      const door = await this.#doors.get(key);
      this.#doors.delete(key);
      door?.close();
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const opening of this.#doors.values()) {
      const door = await opening.catch(() => undefined);
      door?.close();
      door?.sockets.forEach((socket) => socket.destroy());
    }
    this.#doors.clear();
  }

  #door(project: ProjectRecord, endpoint: EndpointRecord, kind: DoorKind): Promise<Door> {
    if (this.#closed) throw new Error('the stand-in has been stopped');
    const key = `${endpoint.id} ${kind}`;
    const known = this.#doors.get(key);
    if (known) return known;
    const opening = this.#open(project, endpoint, kind);
    this.#doors.set(key, opening);
    opening.catch(() => this.#doors.delete(key));
    return opening;
  }

  async #open(project: ProjectRecord, endpoint: EndpointRecord, kind: DoorKind): Promise<Door> {
    const sockets = new Set<net.Socket>();
    const admitted = () => door.used++;
    const port = await listenOnLoopback(
      (socket) => {
        sockets.add(socket);
        socket.once('close', () => sockets.delete(socket));
        socket.on('error', () => undefined); // clients may go at any time
        void this.#serve(socket, project, endpoint, kind, admitted).catch((error: unknown) => {
          if (!this.#closed) this.#options.log(`local-neon: connection to ${endpoint.id}: ${String(error)}`);
          socket.destroy();
        });
      },
      this.#hasIpv6 && this.#doors.size < DOORS_WITH_IPV6,
    );
    const door: Door = { ...port, used: 0, sockets };
    return door;
  }

  async #serve(
    socket: net.Socket,
    project: ProjectRecord,
    endpoint: EndpointRecord,
    kind: DoorKind,
    admitted: () => void,
  ) {
    const address = socket.remoteAddress ?? '';
    const rules = this.#options.faults.take({ projectId: project.id, projectName: project.name }, connectionKinds);
    if (rules.some((rule) => rule.kind === 'refuse-connections')) {
      socket.resetAndDestroy();
      return;
    }
    const greeting = await greet(socket, this.#context);
    if (!greeting) {
      socket.destroy();
      return;
    }
    greeting.stream.on('error', () => undefined);
    if (greeting.request.kind === 'cancel') {
      await forwardCancel(this.#options.cluster.port, greeting.request.packet);
      greeting.stream.end();
      return;
    }
    try {
      await this.#connect(greeting, project, endpoint, kind, address, rules, admitted);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      greeting.stream.end(errorResponse({ severity: 'FATAL', code: 'XX000', message: `local-neon: ${message}` }));
      throw error;
    }
  }

  async #connect(
    { stream, encrypted, request }: Greeting,
    project: ProjectRecord,
    endpoint: EndpointRecord,
    kind: DoorKind,
    address: string,
    rules: readonly ConnectionRule[],
    admitted: () => void,
  ): Promise<void> {
    if (request.kind !== 'startup') return;
    const admission = admit({ project, endpoint, kind, encrypted, address, parameters: request.parameters });
    const refusal = 'error' in admission ? admission.error : this.#refusal(project, rules, userOf(admission));
    if ('error' in admission || refusal) {
      if (refusal) stream.end(errorResponse(refusal));
      return;
    }
    await this.#wake(project, endpoint, rules);
    const { databases, cluster } = this.#options;
    if ('roleMadeWithSql' in admission) {
      await databases.ensureDatabase(project, admission.database);
      if (!(await databases.mayLogIn(admission.roleMadeWithSql))) {
        stream.end(errorResponse(passwordFailed(admission.roleMadeWithSql)));
        return;
      }
    } else if ('database' in admission) {
      await databases.ensureRole(admission.role);
      await databases.ensureDatabase(project, admission.database);
      await databases.allow(admission.role, admission.database);
    } else if (!(await databases.isOwner(admission.role, admission.madeWithSql))) {
      stream.end(errorResponse(noSuchDatabase(admission.madeWithSql)));
      return;
    }
    const upstream = await connectUpstream(cluster.port);
    if (stream.destroyed) {
      upstream.destroy();
      return;
    }
    admitted();
    const parameters = new Map(request.parameters);
    parameters.set('user', 'role' in admission ? admission.role.physicalName : admission.roleMadeWithSql);
    parameters.set('database', 'database' in admission ? admission.database.physicalName : admission.madeWithSql);
    // As Neon's computes have it for every session.
    parameters.set('neon.project_id', project.id);
    upstream.write(startupPacket(request.protocol, parameters));
    this.#relay(stream, upstream, project, endpoint);
    misbehave(stream, upstream, rules);
  }

  #refusal(project: ProjectRecord, rules: readonly ConnectionRule[], user: string): WireError | undefined {
    return isCreating(this.#options.faults, project) ? stillCreating : refusedBy(rules, user);
  }

  /** Waits until the compute that a connection needs is up. */
  async #wake(project: ProjectRecord, endpoint: EndpointRecord, rules: readonly ConnectionRule[]): Promise<void> {
    const ready = busyUntil(project) - Date.now();
    if (ready > 0) await sleep(ready);
    const slow = rules.filter((rule) => rule.kind === 'cold-start').reduce((sum, rule) => sum + rule.ms, 0);
    const cold = computeState(endpoint, Date.now()) === 'idle' ? this.#options.coldStartMs : 0;
    if (slow + cold > 0) await sleep(slow + cold);
    startCompute(endpoint, Date.now());
  }

  #relay(client: net.Socket, upstream: net.Socket, project: ProjectRecord, endpoint: EndpointRecord): void {
    const touch = () => touchCompute(project, endpoint, Date.now());
    touch();
    endpoint.connections++;
    let open = true;
    const close = () => {
      client.destroy();
      upstream.destroy();
      if (!open) return;
      open = false;
      endpoint.connections--;
      // A connection that was ended because the compute was suspended must not wake it.
      if (endpoint.activeAt !== undefined) touch();
    };
    for (const stream of [client, upstream]) {
      stream.on('error', close);
      stream.once('close', close);
    }
    client.on('data', touch);
    const { beforePosition } = this.#options;
    if (beforePosition) {
      client.pipe(recordBeforePosition(() => beforePosition(project, endpoint.branchId))).pipe(upstream);
    } else {
      client.pipe(upstream);
    }
    upstream.pipe(client);
  }
}

function userOf(admission: Exclude<Admission, { error: WireError }>): string {
  return 'role' in admission ? admission.role.name : admission.roleMadeWithSql;
}

function refusedBy(rules: readonly ConnectionRule[], user: string): WireError | undefined {
  for (const rule of rules) {
    if (rule.kind === 'quota-suspended') return quotaExceeded;
    if (rule.kind === 'wrong-password') return passwordFailed(user);
  }
  return undefined;
}

/** Cuts an open connection where a rule says so. */
function misbehave(client: net.Socket, upstream: net.Socket, rules: readonly ConnectionRule[]): void {
  const cut = () => {
    upstream.destroy();
    client.destroy();
  };
  for (const rule of rules) {
    if (rule.kind === 'drop-after-ms') {
      const timer = setTimeout(cut, rule.ms);
      client.once('close', () => clearTimeout(timer));
    }
    if (rule.kind === 'drop-after-bytes') {
      let seen = 0;
      upstream.on('data', (chunk: Buffer) => {
        seen += chunk.length;
        if (seen >= rule.bytes) cut();
      });
    }
  }
}
