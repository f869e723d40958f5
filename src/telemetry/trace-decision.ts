import { randomUUID } from 'node:crypto';
import { type FractionalPercent, isSampled } from '../model/percent.js';
import type { RequestIdRules, TraceSampling } from '../model/tracing.js';
import type { Random } from '../runtime/random.js';
import type { HeaderMap } from '../service/headers.js';

const REQUEST_ID = 'x-request-id';

/** Length of a UUID, and where in it Envoy writes why a request is traced: where version 4 has its `4`. */
const UUID_LENGTH = 36;
const REASON_AT = 14;
const NOT_TRACED = '4';
const SAMPLED = '9';
const FORCED = 'a';
const CLIENT_FORCED = 'b';

/** What the decision depends on. */
export interface DecisionRules {
  readonly sampling: TraceSampling;
  readonly requestIds: RequestIdRules;
  /** Whether requests without an id get one. */
  readonly makesIds: boolean;
}

/**
 * Whether a request is traced when it belongs to no trace yet (Envoy: mutateTracingRequestHeader). Draws go by the request's
 * id, so that all who see it decide alike, and the decision is written into it.
 */
export function decidesToTrace(headers: HeaderMap, rules: DecisionRules, random: Random): boolean {
  const { sampling, requestIds, makesIds } = rules;
  if (makesIds && !headers.has(REQUEST_ID)) headers.set(REQUEST_ID, randomUUID());
  // Envoy: whoever does not go by ids leaves the choice to the sampler of the tracer.
  if (!requestIds.decidesTracing) return true;
  const id = headers.get(REQUEST_ID) ?? '';
  const draw = drawOf(id);
  if (draw === undefined) return false;
  const known = id.length === UUID_LENGTH ? id.charAt(REASON_AT) : NOT_TRACED;
  let reason = known === SAMPLED || known === FORCED || known === CLIENT_FORCED ? known : NOT_TRACED;
  if (reason === NOT_TRACED) reason = reasonOf(headers, sampling, draw, random);
  if (reason !== NOT_TRACED && !falls(draw, sampling.overall)) reason = NOT_TRACED;
  if (reason !== known && requestIds.packsTraceReason && id.length === UUID_LENGTH) {
    headers.set(REQUEST_ID, `${id.slice(0, REASON_AT)}${reason}${id.slice(REASON_AT + 1)}`);
  }
  return reason !== NOT_TRACED;
}

function reasonOf(headers: HeaderMap, sampling: TraceSampling, draw: number, random: Random): string {
  if (headers.has('x-client-trace-id') && isSampled(sampling.client, random())) return CLIENT_FORCED;
  if (headers.has('x-envoy-force-trace')) return FORCED;
  return falls(draw, sampling.random) ? SAMPLED : NOT_TRACED;
}

/** Envoy: the first eight digits of the id, of which hundredths of a percent are told apart. */
function drawOf(id: string): number | undefined {
  const digits = id.slice(0, 8);
  return /^[\da-f]{8}$/i.test(digits) ? Number.parseInt(digits, 16) % 10_000 : undefined;
}

function falls(draw: number, { numerator, denominator }: FractionalPercent): boolean {
  return draw % denominator < numerator;
}
