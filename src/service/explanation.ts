import type { Attempt, ResponseFlag } from './context.js';
import type { Request } from './service.js';
import { TransportError } from './transport-error.js';

/** One try of an exchange, as people read it. */
export interface AttemptExplanation {
  /** 1 for the first. */
  readonly number: number;
  /** `address:port`; undefined when no host could be chosen. */
  readonly host: string | undefined;
  /** The load-balancing policy that chose it, or what overruled it. */
  readonly chosenBy: string;
  /** Milliseconds after the exchange began. */
  readonly startedAfterMs: number;
  readonly durationMs: number | undefined;
  /** Status of the response, when there was one. */
  readonly status: number | undefined;
  /** Why there was none. */
  readonly error: string | undefined;
}

/** What the mesh did with one request, and why. */
export interface Explanation {
  readonly method: string;
  readonly authority: string;
  readonly path: string;
  /** The virtual host and route that matched; undefined when none did. */
  readonly virtualHost: string | undefined;
  readonly route: string | undefined;
  readonly cluster: string | undefined;
  /** SPIFFE ID that the other side proved. */
  readonly peerId: string | undefined;
  readonly attempts: readonly AttemptExplanation[];
  /** Envoy's response flags. */
  readonly flags: readonly ResponseFlag[];
  /** Envoy's RESPONSE_CODE_DETAILS. */
  readonly details: string;
  /** All of it as text, one fact per line. */
  toString(): string;
}

const RECORD = Symbol.for('inmesh.exchange');

/** Keeps the exchange out of sight of whoever prints the object that carries it. */
class ExchangeRecord {
  readonly #request: Request;

  constructor(request: Request) {
    this.#request = request;
  }

  explain(): Explanation {
    return explainRequest(this.#request);
  }
}

/** Notes on a response, or on the error that a caller gets, which exchange it belongs to: one small object. */
export function recordExchange(subject: object, request: Request): void {
  const target = subject as { [RECORD]?: ExchangeRecord };
  if (subject instanceof Error) {
    if (Object.isExtensible(subject)) {
      Object.defineProperty(subject, RECORD, { value: new ExchangeRecord(request), configurable: true });
    }
  } else if ('on' in subject) target[RECORD] = new ExchangeRecord(request);
  else hidden.set(subject, new ExchangeRecord(request));
}

/** The records of objects on which a user could see them: the Fetch standard's have no members of their own. */
const hidden = new WeakMap<object, ExchangeRecord>();

/**
 * What the mesh did with a request, and why: route, cluster, each attempt with its host, flags.
 *
 * Takes what the request's caller got: the `Response` of `mesh.fetch`, what `undici.request` resolved to (or its
 * `body`), the request or response of node:http (also within those of axios and the like), or the error of any of them
 * (also as the `cause` of another). Undefined for anything else.
 */
export function explain(subject: unknown): Explanation | undefined {
  for (let at: unknown = subject, depth = 0; depth < 4; depth++) {
    if (typeof at !== 'object' || at === null) return undefined;
    const record =
      recordOf(at) ??
      recordOf('body' in at ? at.body : undefined) ??
      recordOf('req' in at ? at.req : undefined) ??
      recordOf('request' in at ? at.request : undefined) ??
      recordOfResponse('response' in at ? at.response : undefined);
    if (record !== undefined) return record.explain();
    at = 'cause' in at ? at.cause : undefined;
  }
  return undefined;
}

function recordOf(value: unknown): ExchangeRecord | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  if (!(RECORD in value)) return hidden.get(value);
  const record = value[RECORD];
  return record instanceof ExchangeRecord ? record : undefined;
}

/** The errors of got have the response only, which knows its request. */
function recordOfResponse(response: unknown): ExchangeRecord | undefined {
  if (typeof response !== 'object' || response === null) return undefined;
  return recordOf('req' in response ? response.req : undefined);
}

function explainRequest(request: Request): Explanation {
  const { method, authority, path, context } = request;
  const attempts = (context.attempts ?? []).map((one) => explainAttempt(one, context.startMs));
  const facts = {
    method,
    authority,
    path,
    virtualHost: context.virtualHostName,
    route: context.routeName,
    cluster: context.clusterName,
    peerId: context.peerId,
    attempts,
    flags: [...context.flags],
    details: context.details ?? (attempts.length > 0 ? 'via_upstream' : ''),
  };
  return { ...facts, toString: () => textOf(facts) };
}

function explainAttempt(one: Attempt, startMs: number): AttemptExplanation {
  const { number, host, chosenBy, durationMs, status, error } = one;
  return {
    number,
    host,
    chosenBy,
    startedAfterMs: one.startMs - startMs,
    durationMs,
    status,
    error: error === undefined ? undefined : reasonOf(error),
  };
}

function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return TransportError.is(error) ? `${error.failure}: ${message}` : message;
}

function textOf(facts: Omit<Explanation, 'toString'>): string {
  const lines = [`${facts.method} ${facts.authority}${facts.path}`];
  if (facts.route === undefined) lines.push('  route: none matched');
  else
    lines.push(`  route: ${facts.route || '(no name)'} of virtual host ${facts.virtualHost ?? '(no name)'}`);
  if (facts.cluster !== undefined) lines.push(`  cluster: ${facts.cluster}`);
  for (const one of facts.attempts) {
    const outcome = one.error ?? (one.status === undefined ? 'under way' : String(one.status));
    const took = one.durationMs === undefined ? '' : `, ${one.durationMs.toFixed(1)} ms`;
    lines.push(
      `  attempt ${one.number}: ${one.host ?? 'no host'} (${one.chosenBy}) after ${one.startedAfterMs.toFixed(1)} ms: ${outcome}${took}`,
    );
  }
  if (facts.peerId !== undefined) lines.push(`  peer: ${facts.peerId}`);
  if (facts.flags.length > 0) lines.push(`  flags: ${facts.flags.join(',')}`);
  if (facts.details !== '') lines.push(`  details: ${facts.details}`);
  return lines.join('\n');
}
