import { z } from 'zod';
import {
  duration,
  exportTo,
  int32,
  mapOf,
  percent,
  port,
  portSelector,
  positiveDuration,
  stringMap,
  uint32,
} from './fields.js';

/** Istio StringMatch: at most one of the three. */
export const stringMatch = z
  .strictObject({ exact: z.string().optional(), prefix: z.string().optional(), regex: z.string().optional() })
  .refine((match) => Object.keys(match).length <= 1, {
    message: 'must have one of exact, prefix and regex',
  });

/** Istio Destination. */
export const destination = z.strictObject({
  host: z.string(),
  subset: z.string().optional(),
  port: portSelector.optional(),
});

const headerOperations = z.strictObject({
  set: stringMap.optional(),
  add: stringMap.optional(),
  remove: z.array(z.string()).optional(),
});

const headers = z.strictObject({
  request: headerOperations.optional(),
  response: headerOperations.optional(),
});

const httpMatchRequest = z.strictObject({
  name: z.string().optional(),
  uri: stringMatch.optional(),
  scheme: stringMatch.optional(),
  method: stringMatch.optional(),
  authority: stringMatch.optional(),
  headers: mapOf(stringMatch).optional(),
  withoutHeaders: mapOf(stringMatch).optional(),
  queryParams: mapOf(stringMatch).optional(),
  port: port.optional(),
  sourceLabels: stringMap.optional(),
  sourceNamespace: z.string().optional(),
  gateways: z.array(z.string()).optional(),
  ignoreUriCase: z.boolean().optional(),
  statPrefix: z.string().optional(),
});

const httpRouteDestination = z.strictObject({
  destination,
  weight: int32(0).optional(),
  headers: headers.optional(),
});

const routeDestination = z.strictObject({ destination, weight: int32(0).optional() });

const httpRedirect = z.strictObject({
  uri: z.string().optional(),
  prefixRewrite: z.string().optional(),
  authority: z.string().optional(),
  port: port.optional(),
  derivePort: z.enum(['FROM_PROTOCOL_DEFAULT', 'FROM_REQUEST_PORT']).optional(),
  scheme: z.string().optional(),
  redirectCode: uint32.optional(),
});

const httpDirectResponse = z.strictObject({
  status: uint32,
  body: z.strictObject({ string: z.string().optional(), bytes: z.base64().optional() }).optional(),
});

const httpRewrite = z.strictObject({
  uri: z.string().optional(),
  authority: z.string().optional(),
  uriRegexRewrite: z
    .strictObject({ match: z.string().optional(), rewrite: z.string().optional() })
    .optional(),
});

/** Istio HTTPRetry. */
export const httpRetry = z.strictObject({
  attempts: int32(0).optional(),
  perTryTimeout: positiveDuration.optional(),
  retryOn: z.string().optional(),
  retryRemoteLocalities: z.boolean().optional(),
  retryIgnorePreviousHosts: z.boolean().optional(),
  backoff: positiveDuration.optional(),
});

const httpFaultInjection = z.strictObject({
  delay: z
    .strictObject({
      percent: int32(0, 100).optional(),
      percentage: percent.optional(),
      fixedDelay: positiveDuration.optional(),
      exponentialDelay: duration.optional(),
    })
    .optional(),
  abort: z
    .strictObject({
      percentage: percent.optional(),
      httpStatus: int32(200, 600).optional(),
      grpcStatus: z.string().optional(),
      http2Error: z.string().optional(),
    })
    .optional(),
});

const corsPolicy = z.strictObject({
  allowOrigin: z.array(z.string()).optional(),
  allowOrigins: z.array(stringMatch).optional(),
  allowMethods: z.array(z.string()).optional(),
  allowHeaders: z.array(z.string()).optional(),
  exposeHeaders: z.array(z.string()).optional(),
  maxAge: positiveDuration.optional(),
  allowCredentials: z.boolean().optional(),
  unmatchedPreflights: z.enum(['UNSPECIFIED', 'FORWARD', 'IGNORE']).optional(),
});

/** Istio HTTPRoute. */
export const httpRoute = z.strictObject({
  name: z.string().optional(),
  match: z.array(httpMatchRequest.nullable().transform((match) => match ?? {})).optional(),
  route: z.array(httpRouteDestination).optional(),
  redirect: httpRedirect.optional(),
  directResponse: httpDirectResponse.optional(),
  delegate: z.strictObject({ name: z.string().optional(), namespace: z.string().optional() }).optional(),
  rewrite: httpRewrite.optional(),
  timeout: positiveDuration.optional(),
  retries: httpRetry.optional(),
  fault: httpFaultInjection.optional(),
  mirror: destination.optional(),
  mirrors: z.array(z.strictObject({ destination, percentage: percent.optional() })).optional(),
  mirrorPercent: uint32.optional(),
  mirrorPercentage: percent.optional(),
  corsPolicy: corsPolicy.optional(),
  headers: headers.optional(),
});

const l4Match = {
  destinationSubnets: z.array(z.string()).optional(),
  port: port.optional(),
  sourceLabels: stringMap.optional(),
  gateways: z.array(z.string()).optional(),
  sourceNamespace: z.string().optional(),
};

const tlsRoute = z.strictObject({
  match: z.array(z.strictObject({ sniHosts: z.array(z.string()), ...l4Match })),
  route: z.array(routeDestination).optional(),
});

const tcpRoute = z.strictObject({
  match: z.array(z.strictObject({ ...l4Match, sourceSubnet: z.string().optional() })).optional(),
  route: z.array(routeDestination).optional(),
});

/** Istio VirtualService: every field; durations are milliseconds. */
export const virtualServiceSchema = z.strictObject({
  hosts: z.array(z.string()).optional(),
  gateways: z.array(z.string()).optional(),
  http: z.array(httpRoute).optional(),
  tls: z.array(tlsRoute).optional(),
  tcp: z.array(tcpRoute).optional(),
  exportTo: exportTo.optional(),
});
