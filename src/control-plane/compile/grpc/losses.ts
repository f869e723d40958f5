import { valuesAt } from '../../kinds/values-at.js';
import type { ConfigView, Document, FieldPath, KindName } from '../../kinds/view.js';
import { formatPath } from '../../schema/violation.js';
import { endsTls } from '../sidecar-ingress.js';
import { authorizationLosses } from './authorization-losses.js';

/** A field of a document that does not have its full effect on gRPC's own clients. */
export interface GrpcLoss {
  /** E.g. `VirtualService default/reviews`. */
  readonly resource: string;
  readonly path: FieldPath;
  /** Complete in itself. */
  readonly message: string;
}

/** A field that gRPC's own clients do not follow as members do. */
export interface Limit {
  /** Names of fields; `*` stands for every element of a list. */
  readonly path: string;
  /** Which values are meant; left out, all that are there. */
  readonly holds?: (value: unknown) => boolean;
  /** What happens instead; left out: nothing does. */
  readonly instead?: string;
}

const NONE = (...paths: readonly string[]): readonly Limit[] => paths.map((path) => ({ path }));
const below = (prefix: string, limits: readonly Limit[]): readonly Limit[] =>
  limits.map((limit) => ({ ...limit, path: `${prefix}.${limit.path}` }));

const GRPC_CODES = /^(?:cancelled|deadline-exceeded|internal|resource-exhausted|unavailable)$/;
const hasOtherConditions = (value: unknown) =>
  typeof value === 'string' && value.split(',').some((one) => !GRPC_CODES.test(one.trim()));

const VIRTUAL_SERVICE: readonly Limit[] = [
  { path: 'http.*.redirect', instead: 'calls fail with the status that stands for the redirect' },
  { path: 'http.*.directResponse', instead: 'calls fail with the gRPC status that stands for its status' },
  { path: 'http.*.match.*.queryParams', instead: 'a call has no query, so the match never holds' },
  {
    path: 'http.*.retries.retryOn',
    holds: hasOtherConditions,
    instead:
      'gRPC retries on cancelled, deadline-exceeded, internal, resource-exhausted and unavailable only',
  },
  ...NONE(
    'http.*.rewrite',
    'http.*.mirror',
    'http.*.mirrors',
    'http.*.corsPolicy',
    'http.*.headers',
    'http.*.route.*.headers',
    'http.*.retries.perTryTimeout',
    'http.*.retries.retryRemoteLocalities',
    'tcp',
    'tls',
  ),
];

const POLICY: readonly Limit[] = [
  {
    path: 'loadBalancer.simple',
    holds: (value) => value === 'RANDOM' || value === 'PASSTHROUGH',
    instead: 'round robin is used',
  },
  { path: 'loadBalancer.consistentHash.maglev', instead: 'a hash ring is used' },
  {
    path: 'loadBalancer.consistentHash.useSourceIp',
    holds: (value) => value === true,
    instead: 'the calls of a channel stay together',
  },
  {
    path: 'tls.mode',
    holds: (value) => value === 'SIMPLE' || value === 'MUTUAL',
    instead: "the channel's own credentials decide",
  },
  ...NONE(
    'loadBalancer.consistentHash.httpCookie',
    'loadBalancer.consistentHash.httpQueryParameterName',
    'loadBalancer.warmup',
    'loadBalancer.warmupDurationSecs',
    'connectionPool.tcp',
    'connectionPool.http.http1MaxPendingRequests',
    'connectionPool.http.maxRequestsPerConnection',
    'connectionPool.http.maxRetries',
    'connectionPool.http.idleTimeout',
    'connectionPool.http.maxConcurrentStreams',
    'connectionPool.http.http2KeepAlive',
    'connectionPool.http.h2UpgradePolicy',
    'connectionPool.http.useClientProtocol',
  ),
  {
    path: 'outlierDetection',
    instead: 'gRPC counts no consecutive errors; only the order of localities follows from it',
  },
];

const TRAFFIC_POLICY = [
  ...POLICY,
  ...below('portLevelSettings.*', POLICY),
  ...NONE('retryBudget', 'proxyProtocol', 'tunnel'),
];

const LIMITS: { readonly [K in KindName]?: readonly Limit[] } = {
  VirtualService: VIRTUAL_SERVICE,
  DestinationRule: [
    ...below('trafficPolicy', TRAFFIC_POLICY),
    ...below('subsets.*.trafficPolicy', TRAFFIC_POLICY),
  ],
  RequestAuthentication: [
    { path: 'jwtRules', instead: "gRPC's own servers verify no tokens; those of the SDK do" },
  ],
  Sidecar: [
    {
      path: 'ingress.*.tls',
      holds: endsTls,
      instead: "gRPC's own servers are told plaintext where mTLS is off",
    },
  ],
  ServiceEntry: [
    {
      path: 'resolution',
      holds: (value) => value === 'NONE' || value === 'DYNAMIC_DNS',
      instead: 'its hosts are not in the mesh for them',
    },
    {
      path: 'endpoints.*.address',
      holds: (value) => typeof value === 'string' && value.startsWith('unix:'),
      instead: 'the endpoint is left out',
    },
  ],
};

/** What of a kind does not have its full effect on gRPC's own clients. */
export function grpcLimits(kind: KindName): readonly Limit[] {
  return LIMITS[kind] ?? [];
}

/** What of a document does not have its full effect on gRPC's own clients. */
export function grpcLossesOf(document: Document): readonly GrpcLoss[] {
  const { kind, namespace, name } = document;
  const resource = `${kind} ${namespace}/${name}`;
  if (isAuthorization(document)) {
    return authorizationLosses(document).map(([path, instead]) => ({
      resource,
      path,
      message: `${formatPath(path)} of ${resource} has another effect on gRPC's own servers: ${instead}`,
    }));
  }
  return grpcLimits(kind).flatMap(({ path, holds, instead }) =>
    [...valuesAt(document.spec, path.split('.'), ['spec'])]
      .filter(([value]) => (holds === undefined ? isGiven(value) : holds(value)))
      .map(([, at]) => ({ resource, path: at, message: messageFor(resource, at, instead) })),
  );
}

/** The same for a whole configuration. */
export function grpcLosses(view: ConfigView): readonly GrpcLoss[] {
  // The keys of the table are names of kinds.
  const kinds = [...(Object.keys(LIMITS) as KindName[]), 'AuthorizationPolicy' as const];
  return kinds.flatMap((kind) => view.list(kind).flatMap(grpcLossesOf));
}

function isAuthorization(document: Document): document is Document<'AuthorizationPolicy'> {
  return document.kind === 'AuthorizationPolicy';
}

function isGiven(value: unknown): boolean {
  return value !== undefined && !(Array.isArray(value) && value.length === 0);
}

function messageFor(resource: string, path: FieldPath, instead: string | undefined): string {
  const field = `${formatPath(path)} of ${resource}`;
  return instead === undefined
    ? `${field} has no effect on gRPC clients`
    : `${field} has another effect on gRPC clients: ${instead}`;
}
