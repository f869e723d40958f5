import { buildFilters } from '../../../src/filters/builtin.js';
import type { FilterTools } from '../../../src/filters/filter.js';
import type { ExtAuthzConfig, ExtAuthzRouteConfig } from '../../../src/model/ext-authz.js';
import type { FilterConfig } from '../../../src/model/filter-config.js';
import { compose, type Request, type Service } from '../../../src/service/service.js';
import { createFakeClock } from '../../../src/testing/fake-clock.js';
import { filterTools, makeResponse } from './support.js';

/** The filter with Envoy's defaults, asking over HTTP. */
export const HTTP: ExtAuthzConfig = {
  kind: 'ext-authz',
  service: {
    kind: 'http',
    uri: { uri: 'http://authz.example', cluster: 'authz', timeoutMs: 200 },
    pathPrefix: '',
    headersToAdd: [],
    upstreamHeaders: [],
    upstreamHeadersToAppend: [],
    clientHeaders: [],
    clientHeadersOnSuccess: [],
    dynamicMetadataFromHeaders: [],
  },
  failureModeAllow: false,
  failureModeAllowHeaderAdd: false,
  body: undefined,
  statusOnError: 403,
  validateMutations: false,
  metadataNamespaces: [],
  routeMetadataNamespaces: [],
  enabled: undefined,
  enabledMetadata: undefined,
  denyAtDisable: false,
  includePeerCertificate: false,
  includeTlsSession: false,
  allowedHeaders: undefined,
  disallowedHeaders: [],
  encodeRawHeaders: false,
  mutationRules: undefined,
  ingestMetadata: true,
  statPrefix: '',
  chargeCluster: true,
};

/** The same over gRPC. */
export const GRPC: ExtAuthzConfig = {
  ...HTTP,
  service: {
    kind: 'grpc',
    service: {
      cluster: 'authz',
      authority: '',
      timeoutMs: undefined,
      initialMetadata: [],
      maxReceiveBytes: undefined,
    },
  },
};

/** A matcher of one name. */
export const named = (value: string) => ({ kind: 'exact', value, ignoreCase: false }) as const;

/** Settings of a route. */
export function routeSettings(
  change: Partial<NonNullable<ExtAuthzRouteConfig['settings']>> = {},
): ExtAuthzRouteConfig {
  return {
    kind: 'ext-authz-route',
    settings: { contextExtensions: new Map(), disableBody: false, body: undefined, ...change },
  };
}

const NAME = 'authz';
const CLUSTER = 'outbound|9080|v1|reviews.default.svc.cluster.local';

/** One filter with its surroundings; `sent` are the requests that it let through. */
export function authzStand(upstream: () => Service | undefined) {
  const clock = createFakeClock();
  const tools: FilterTools = { ...filterTools(clock), upstream };
  const sent: Request[] = [];
  const stack = (
    config: ExtAuthzConfig,
    levels: readonly FilterConfig[] = [],
    change: Partial<FilterTools> = {},
    application: Service = async () => makeResponse(200),
  ): Service => {
    const overrides = levels.map((level) => new Map([[NAME, level]]));
    const filters = buildFilters([{ name: NAME, config }], overrides, { ...tools, ...change });
    return compose(filters, (request) => {
      sent.push(request);
      return application(request);
    });
  };
  const counters = () =>
    Object.fromEntries(
      [...tools.memory.counters].map(([name, { value }]) => [name.replace(CLUSTER, 'reviews'), value]),
    );
  return { clock, tools, sent, stack, counters };
}
