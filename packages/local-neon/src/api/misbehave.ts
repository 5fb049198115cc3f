import type http from 'node:http';
import type { RuleOf } from '../faults/faults.js';
import type { FaultKind } from '../faults/rules.js';

/** Kinds that act on any request of the API. */
export const requestKinds = [
  'latency',
  '423',
  '429',
  '503',
  'status',
  'lost-answer',
  'operation-fails',
] as const satisfies readonly FaultKind[];

type RequestRule = RuleOf<(typeof requestKinds)[number]>;

const messages: Readonly<Record<string, readonly [code: string, message: string]>> = {
  423: ['PROJECT_LOCKED', 'project already has running conflicting operations, scheduling of new ones is prohibited'],
  429: ['RATE_LIMITED', 'rate limit exceeded'],
  503: ['SERVICE_UNAVAILABLE', 'the service is temporarily unavailable'],
};

/** Answers in place of the API when a rule says so. @returns the status that was sent, `undefined` when no rule did */
export function answerWithFault(rules: readonly RequestRule[], response: http.ServerResponse): number | undefined {
  for (const rule of rules) {
    if (rule.kind === 'status') return sendHostile(response, rule.status, rule.body);
    if (rule.kind === '423' || rule.kind === '429' || rule.kind === '503') {
      if ('retryAfterSeconds' in rule && rule.retryAfterSeconds !== undefined) {
        response.setHeader('retry-after', String(rule.retryAfterSeconds));
      }
      return sendHostile(response, Number(rule.kind), 'error');
    }
  }
  return undefined;
}

function sendHostile(response: http.ServerResponse, status: number, body: RuleOf<'status'>['body']): number {
  const [code, message] = messages[status] ?? ['', `made to answer ${String(status)}`];
  const json = JSON.stringify({ request_id: response.getHeader('x-request-id'), code, message });
  const type = body === 'html' ? 'text/html' : 'application/json; charset=utf-8';
  if (body === 'truncated') {
    response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(json) });
    response.write(json.slice(0, json.length / 2), () => response.socket?.destroy());
    return status;
  }
  const texts = {
    error: json,
    html: '<!DOCTYPE html><html><head><title>Error</title></head><body><h1>upstream request failed</h1></body></html>',
    'invalid-json': '{"code": "OOPS", "message": ',
    empty: '',
  };
  response.writeHead(status, { 'content-type': type });
  response.end(texts[body]);
  return status;
}
