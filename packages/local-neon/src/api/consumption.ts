import { badRequest } from './errors.js';
import { ok, type Handler, type Handlers } from './world.js';

const DAY_MS = 86_400_000;

/**
 * `GET /consumption_history/v2/projects`: nothing is metered here. Each project has used its number in the account times
 * 3,600 of whatever is asked for, so that a client's arithmetic can be checked.
 */
const getConsumptionHistoryPerProjectV2: Handler = (world, call) => {
  const query = call.query as { limit?: number; cursor?: string; from: string; to: string; metrics: unknown };
  const { limit = 10, cursor } = query;
  const metrics = (Array.isArray(query.metrics) ? query.metrics.map(String) : [String(query.metrics)]).flatMap((text) =>
    text.split(','),
  );
  const newestFirst = world.store.all().toReversed();
  const start = cursor === undefined ? 0 : newestFirst.findIndex(({ id }) => id === cursor) + 1;
  if (cursor !== undefined && start === 0) throw badRequest('cursor is not one of ours');
  const page = newestFirst.slice(start, start + limit);
  const last = page.at(-1);
  const to = Date.parse(query.to);
  const timeframe = { timeframe_start: new Date(to - DAY_MS).toISOString(), timeframe_end: new Date(to).toISOString() };
  return ok({
    projects: page.map((project) => ({
      project_id: project.id,
      periods: [
        {
          period_id: '00000000-0000-4000-8000-000000000000',
          period_plan: 'scale',
          period_start: new Date(Date.parse(query.from)).toISOString(),
          consumption: [
            {
              ...timeframe,
              metrics: metrics.map((metric) => ({ metric_name: metric, value: project.sequence * 3_600 })),
            },
          ],
        },
      ],
    })),
    ...(last && start + page.length < newestFirst.length ? { pagination: { cursor: last.id } } : {}),
  });
};

export const consumptionHandlers: Handlers = { getConsumptionHistoryPerProjectV2 };
