import { z } from 'zod';

import { operationSchema } from './answers.js';
import type { Caller } from './caller.js';
import { NeonApiError } from './errors.js';
import type { Compute, Neon } from './port.js';

const endpointSchema = z.object({
  id: z.string().min(1),
  host: z.string(),
  current_state: z.string(),
  pending_state: z.string().nullish(),
});

const endpointAnswerSchema = z.object({ endpoint: endpointSchema });
const endpointsSchema = z.object({ endpoints: z.array(endpointSchema) });
const suspendedSchema = z.object({ endpoint: endpointSchema, operations: z.array(operationSchema) });

function computeOf({ id, current_state: state, pending_state: next }: z.infer<typeof endpointSchema>): Compute {
  return { id, isAsleep: state === 'idle' && (next ?? 'idle') === 'idle' };
}

/** Looking at computes and putting them to sleep. */
export function computesOf({ api, call }: Caller): Pick<Neon, 'computeOfHost' | 'suspendCompute'> {
  return {
    async computeOfHost(projectId, host) {
      const { endpoints } = await call('listProjectEndpoints', 'read', endpointsSchema, (params) =>
        api.listProjectEndpoints(projectId, params),
      );
      const found = endpoints.find((endpoint) => endpoint.host === host);
      return found === undefined ? undefined : computeOf(found);
    },

    async suspendCompute(projectId, computeId) {
      try {
        await call('suspendProjectEndpoint', 'write', suspendedSchema, (params) =>
          api.suspendProjectEndpoint(projectId, computeId, params),
        );
      } catch (thrown) {
        if (!(thrown instanceof NeonApiError && thrown.mayHaveBeenCarriedOut)) throw thrown;
        const { endpoint } = await call('getProjectEndpoint', 'read', endpointAnswerSchema, (params) =>
          api.getProjectEndpoint(projectId, computeId, params),
        );
        // Sent again it could end the session of somebody who has connected since.
        const isOnItsWay = endpoint.pending_state === 'idle' || computeOf(endpoint).isAsleep;
        if (!isOnItsWay) throw thrown;
      }
    },
  };
}
