import { MeshError } from '../runtime/errors.js';
import type { DestinationRuleHandle } from './destination-rule.js';
import { document, type MeshDocument } from './document.js';
import type {
  PeerAuthenticationSpec,
  VirtualServiceSpecHttpFault,
  VirtualServiceSpecHttpMatchUri,
  VirtualServiceSpecHttpRetries,
  VirtualServiceSpecHttpRoute,
} from './gen/fields.js';
import type { Duration } from './values.js';

/** Shares of a route by subset, in percent; what is not named gets nothing. */
export type Shares<Subset extends string> = { readonly [Name in Subset]?: number };

/**
 * The `route` of an HTTP route that splits requests between subsets: `split(reviews, { v1: 90, v2: 10 })`.
 * @throws MeshError `INMESH_CONFIG_INVALID` unless the shares are whole numbers that add to 100, `INMESH_CONFIG_REFERENCE`.
 */
export function split<Host extends string, Subset extends string>(
  rule: DestinationRuleHandle<Host, Subset>,
  shares: Shares<NoInfer<Subset>>,
  port?: number,
): readonly VirtualServiceSpecHttpRoute[] {
  // The names of the shares are those of subsets; subset() refuses others.
  const entries = Object.entries(shares) as [Subset, number | undefined][];
  const given = entries.filter((one): one is [Subset, number] => one[1] !== undefined);
  const isPercent = (share: number) => Number.isInteger(share) && share >= 0 && share <= 100;
  const total = given.reduce((sum, [, share]) => sum + share, 0);
  if (!given.every(([, share]) => isPercent(share)) || total !== 100) {
    const text = given.map(([name, share]) => `${name}: ${share}`).join(', ');
    throw new MeshError(
      'INMESH_CONFIG_INVALID',
      `the shares { ${text} } are not percentages that add to 100`,
      {
        resource: rule.host,
      },
    );
  }
  return Object.freeze(
    given.map(([name, weight]) => Object.freeze({ destination: rule.subset(name, port), weight })),
  );
}

/** Who gets how much of a canary. */
export interface CanaryOptions<Subset extends string> {
  readonly stable: Subset;
  readonly canary: Subset;
  /** Of requests to the canary: a whole number from 0 to 100. */
  readonly percent: number;
  /** Needed where the host has several. */
  readonly port?: number | undefined;
}

/**
 * The `route` of an HTTP route that sends some percent of requests to a new version.
 * @throws MeshError `INMESH_CONFIG_INVALID`.
 */
export function canary<Host extends string, Subset extends string>(
  rule: DestinationRuleHandle<Host, Subset>,
  options: CanaryOptions<NoInfer<Subset>>,
): readonly VirtualServiceSpecHttpRoute[] {
  const { stable, canary: next, percent, port } = options;
  if (stable === next) {
    throw new MeshError('INMESH_CONFIG_INVALID', `${JSON.stringify(stable)} can not be its own canary`, {
      resource: rule.host,
    });
  }
  // Two different subsets are two names of shares.
  const shares = { [stable]: 100 - percent, [next]: percent } as Shares<Subset>;
  return split(rule, shares, port);
}

/** What a retry may be for: Envoy's conditions, of HTTP and of gRPC, and statuses. */
export type RetryCondition =
  | '5xx'
  | 'gateway-error'
  | 'reset'
  | 'reset-before-request'
  | 'connect-failure'
  | 'envoy-ratelimited'
  | 'retriable-4xx'
  | 'refused-stream'
  | 'retriable-status-codes'
  | 'retriable-headers'
  | 'http3-post-connect-failure'
  | 'cancelled'
  | 'deadline-exceeded'
  | 'internal'
  | 'resource-exhausted'
  | 'unavailable'
  | number;

/** How `retry` retries, besides how often. */
export interface RetryOptions extends Omit<VirtualServiceSpecHttpRetries, 'attempts' | 'retryOn'> {
  /** By default Istio's: `connect-failure`, `refused-stream`, `unavailable`, `cancelled` and status 503. */
  readonly on?: readonly RetryCondition[] | undefined;
}

/** The `retries` of an HTTP route: `retry(3, { perTryTimeout: '2s', on: ['5xx', 'reset'] })`; `retry(0)` switches them off. */
export function retry(attempts: number, options: RetryOptions = {}): VirtualServiceSpecHttpRetries {
  const { on, perTryTimeout, ...rest } = options;
  return Object.freeze({
    attempts,
    ...(perTryTimeout !== undefined && { perTryTimeout }),
    ...(on !== undefined && { retryOn: on.join(',') }),
    ...rest,
  });
}

/** The `fault` of an HTTP route that lets some percent of requests wait; with `abort`: `{ ...delay(…), ...abort(…) }`. */
export function delay(percent: number, fixedDelay: Duration): VirtualServiceSpecHttpFault {
  return Object.freeze({
    delay: Object.freeze({ percentage: Object.freeze({ value: percent }), fixedDelay }),
  });
}

/** The `fault` of an HTTP route that answers some percent of requests with an error. */
export function abort(percent: number, httpStatus: number): VirtualServiceSpecHttpFault {
  return Object.freeze({
    abort: Object.freeze({ percentage: Object.freeze({ value: percent }), httpStatus }),
  });
}

/** Matches texts that are this one. */
export function exact(text: string): VirtualServiceSpecHttpMatchUri {
  return Object.freeze({ exact: text });
}

/** Matches texts that begin like this. */
export function prefix(text: string): VirtualServiceSpecHttpMatchUri {
  return Object.freeze({ prefix: text });
}

/** Matches texts that the whole expression matches (RE2's syntax, as everywhere in Istio and Envoy). */
export function regex(text: string | RegExp): VirtualServiceSpecHttpMatchUri {
  return Object.freeze({ regex: typeof text === 'string' ? text : sourceOf(text) });
}

function sourceOf({ source, flags }: RegExp): string {
  const unknown = flags.replaceAll(/[imsuv]/g, '');
  if (unknown !== '')
    throw new MeshError(
      'INMESH_CONFIG_INVALID',
      `a regular expression with the flags "${flags}" has no equal`,
    );
  const kept = flags.replaceAll(/[uv]/g, '');
  // `\/` is how JavaScript writes a slash; RE2 knows no such escape.
  const text = source.replaceAll('\\/', '/');
  return kept === '' ? text : `(?${kept})${text}`;
}

/** For whom mTLS is set; for the whole mesh in the root namespace `istio-system`, without labels. */
export interface MtlsOptions {
  readonly name?: string | undefined;
  readonly namespace?: string | undefined;
  /** The workloads by their labels; by default all of the namespace. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** Other modes for single ports. */
  readonly ports?: PeerAuthenticationSpec['portLevelMtls'];
}

/** A PeerAuthentication that wants, allows or switches off mTLS: `mtls('STRICT', { namespace: 'shop' })`. */
export function mtls(
  mode: 'STRICT' | 'PERMISSIVE' | 'DISABLE',
  { name = 'default', namespace, labels, ports }: MtlsOptions = {},
): MeshDocument<'PeerAuthentication'> {
  return document(
    'PeerAuthentication',
    { name, namespace },
    {
      selector: labels === undefined ? undefined : { matchLabels: labels },
      mtls: { mode },
      portLevelMtls: ports,
    },
  );
}
