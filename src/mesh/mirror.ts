import { timeout } from '../filters/timeout.js';
import type { MirrorPolicy } from '../model/mirror.js';
import { isSampled } from '../model/percent.js';
import { Abort } from '../runtime/abort.js';
import type { Clock } from '../runtime/clock.js';
import type { Random } from '../runtime/random.js';
import { type Body, discardBody } from '../service/body.js';
import { createExchange } from '../service/context.js';
import { compose, type Filter, type Request, type Service } from '../service/service.js';
import { teeBody } from '../service/tee.js';

export interface MirrorTools {
  readonly clock: Clock;
  readonly random: Random;
  /** One attempt at a cluster; clusters come and go. */
  readonly upstream: (clusterName: string) => Service | undefined;
  /** The route's timeout; 0 = none. */
  readonly timeoutMs: number;
}

/** Bytes that a copy of a streamed request may lag behind: Envoy's buffer limit of a stream. */
const LAG_BYTES = 1024 * 1024;

/**
 * Sends copies of requests to other clusters (Envoy `request_mirror_policies`): one attempt each, after the route's
 * changes to headers, host and path. Their answers are read and thrown away; nothing that happens to them shows.
 */
export function mirror(policies: readonly MirrorPolicy[], tools: MirrorTools): Filter | undefined {
  if (policies.length === 0) return undefined;
  const limit = tools.timeoutMs > 0 ? [timeout(tools.timeoutMs, tools.clock)] : [];
  return async (request, next) => {
    const chosen = isOfTunnel(request) ? [] : policies.filter((one) => isChosen(one, request));
    if (chosen.length === 0) return next(request);
    const tee = teeBody(request.body, LAG_BYTES);
    for (const policy of chosen) {
      const service = serviceOf(policy, request, tools);
      if (service === undefined) continue;
      send(copyOf(request, policy, tee.copy(), tools), compose(limit, service));
    }
    try {
      const response = await next({ ...request, body: tee.body });
      response.completion.onEnd(({ error }) => tee.end(error));
      return response;
    } catch (error) {
      tee.end(error);
      throw error;
    }
  };
}

/** Envoy: the fraction is compared with the one random value of the stream. */
function isChosen({ fraction }: MirrorPolicy, { context }: Request): boolean {
  return fraction === undefined || isSampled(fraction, context.random);
}

function serviceOf({ target }: MirrorPolicy, request: Request, tools: MirrorTools): Service | undefined {
  const name = target.kind === 'cluster' ? target.name : request.headers.get(target.name);
  return name === undefined ? undefined : tools.upstream(name);
}

/** A request of its own: it shares nothing with the first but the bytes of the body. */
function copyOf(request: Request, policy: MirrorPolicy, body: Body, tools: MirrorTools): Request {
  const headers = request.headers.clone();
  const authority = policy.hostSuffix ? shadowHost(request.authority) : request.authority;
  if (headers.has('host')) headers.set('host', authority);
  const parent = headers.get('traceparent');
  if (policy.traceSampled !== undefined && parent !== undefined) {
    headers.set('traceparent', `${parent.slice(0, -2)}${policy.traceSampled ? '01' : '00'}`);
  }
  const context = createExchange('outbound', tools.clock.now(), tools.random());
  return { ...request, authority, headers, body, abort: new Abort(), context };
}

/** Envoy: `-shadow` goes before the port, so that logs of the other side tell copies from requests. */
export function shadowHost(authority: string): string {
  const colon = authority.startsWith('[')
    ? authority.indexOf(':', authority.indexOf(']'))
    : authority.indexOf(':');
  return colon < 0 ? `${authority}-shadow` : `${authority.slice(0, colon)}-shadow${authority.slice(colon)}`;
}

function send(request: Request, service: Service): void {
  service(request).then(({ body }) => discardBody(body), ignore);
}

/** What becomes of a copy is nobody's concern. */
function ignore(): void {}

/** Envoy mirrors no CONNECT; of an upgrade a copy would open a tunnel that nobody uses. */
function isOfTunnel({ method, context }: Request): boolean {
  return method === 'CONNECT' || context.upgrade !== undefined;
}
