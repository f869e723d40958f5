import { z } from 'zod';
import {
  backendObject,
  commonRoute,
  duration,
  headerName,
  headerValue,
  hostname,
  localObjectReference,
  portNumber,
  preciseHostname,
  sectionName,
  weightedBackend,
} from './fields.js';

/** A header that a request must have. */
export const headerMatch = z.strictObject({
  type: z.enum(['Exact', 'RegularExpression']).default('Exact'),
  name: headerName,
  value: headerValue,
});

const pathMatch = z.strictObject({
  type: z.enum(['Exact', 'PathPrefix', 'RegularExpression']).default('PathPrefix'),
  value: z.string().max(1024).default('/'),
});

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH'] as const;
const ANY_PATH = { type: 'PathPrefix', value: '/' } as const;

const httpRouteMatch = z.strictObject({
  path: pathMatch.default({ ...ANY_PATH }),
  headers: z.array(headerMatch).max(16).optional(),
  queryParams: z
    .array(
      z.strictObject({
        type: z.enum(['Exact', 'RegularExpression']).default('Exact'),
        name: headerName,
        value: z.string().min(1).max(1024),
      }),
    )
    .max(16)
    .optional(),
  method: z.enum(METHODS).optional(),
});

const header = z.strictObject({ name: headerName, value: headerValue });

/** Changes of headers. */
export const headerFilter = z.strictObject({
  set: z.array(header).max(16).optional(),
  add: z.array(header).max(16).optional(),
  remove: z.array(z.string()).max(16).optional(),
});

/** A copy of a share of requests. */
export const mirrorFilter = z.strictObject({
  backendRef: z.strictObject(backendObject),
  percent: z.int().min(0).max(100).optional(),
  fraction: z
    .strictObject({ numerator: z.int().min(0), denominator: z.int().min(1).default(100) })
    .optional(),
});

const pathModifier = z.strictObject({
  type: z.enum(['ReplaceFullPath', 'ReplacePrefixMatch']),
  replaceFullPath: z.string().max(1024).optional(),
  replacePrefixMatch: z.string().max(1024).optional(),
});

const redirectFilter = z.strictObject({
  scheme: z.enum(['http', 'https']).optional(),
  hostname: preciseHostname.optional(),
  path: pathModifier.optional(),
  port: portNumber.optional(),
  statusCode: z
    .union([z.literal(301), z.literal(302), z.literal(303), z.literal(307), z.literal(308)])
    .default(302),
});

const rewriteFilter = z.strictObject({
  hostname: preciseHostname.optional(),
  path: pathModifier.optional(),
});

const CORS_ORIGIN = /^(?:\*|[a-zA-Z][a-zA-Z0-9+.-]*:\/\/(?:\*|(?:\*\.)?[^/*:?#]+)(?::\d{1,5})?)$/;

const corsFilter = z.strictObject({
  allowOrigins: z
    .array(
      z.string().min(1).max(253).regex(CORS_ORIGIN, 'must be "*" or an origin such as https://*.example.com'),
    )
    .max(64)
    .optional(),
  allowCredentials: z.boolean().optional(),
  allowMethods: z
    .array(z.enum([...METHODS, '*']))
    .max(9)
    .optional(),
  allowHeaders: z.array(headerName).max(64).optional(),
  exposeHeaders: z.array(headerName).max(64).optional(),
  maxAge: z.int().min(1).default(5),
});

/** What may stand in paths. */
export const PATH = /^(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|%[0-9a-fA-F]{2})+$/;

const externalAuthFilter = z.strictObject({
  protocol: z.enum(['HTTP', 'GRPC']),
  backendRef: z.strictObject(backendObject),
  grpc: z.strictObject({ allowedHeaders: z.array(z.string()).max(64).optional() }).optional(),
  http: z
    .strictObject({
      path: z.string().max(1024).regex(PATH, 'must be a path').optional(),
      allowedHeaders: z.array(z.string()).max(64).optional(),
      allowedResponseHeaders: z.array(z.string()).max(64).optional(),
    })
    .optional(),
  forwardBody: z.strictObject({ maxSize: z.int().min(0).max(65_535).optional() }).optional(),
});

const directResponseFilter = z.strictObject({
  statusCode: z.int().min(100).max(599),
  body: z.strictObject({ string: z.string().max(4096) }).optional(),
});

/** Gateway API HTTPRouteFilter. */
export const httpRouteFilter = z.strictObject({
  type: z.enum([
    'RequestHeaderModifier',
    'ResponseHeaderModifier',
    'RequestMirror',
    'RequestRedirect',
    'URLRewrite',
    'ExtensionRef',
    'CORS',
    'ExternalAuth',
    'DirectResponse',
  ]),
  requestHeaderModifier: headerFilter.optional(),
  responseHeaderModifier: headerFilter.optional(),
  requestMirror: mirrorFilter.optional(),
  requestRedirect: redirectFilter.optional(),
  urlRewrite: rewriteFilter.optional(),
  cors: corsFilter.optional(),
  externalAuth: externalAuthFilter.optional(),
  directResponse: directResponseFilter.optional(),
  extensionRef: localObjectReference.optional(),
});

/** Keeps the requests of a session at one endpoint. */
export const sessionPersistence = z.strictObject({
  sessionName: z.string().max(128).optional(),
  absoluteTimeout: duration.optional(),
  idleTimeout: duration.optional(),
  type: z.enum(['Cookie', 'Header']).default('Cookie'),
  cookieConfig: z
    .strictObject({ lifetimeType: z.enum(['Permanent', 'Session']).default('Session') })
    .optional(),
});

const httpRouteRule = z.strictObject({
  name: sectionName.optional(),
  matches: z
    .array(httpRouteMatch)
    .max(64)
    .default(() => [{ path: { ...ANY_PATH } }]),
  filters: z.array(httpRouteFilter).max(16).optional(),
  backendRefs: z
    .array(z.strictObject({ ...weightedBackend, filters: z.array(httpRouteFilter).max(16).optional() }))
    .max(16)
    .optional(),
  timeouts: z.strictObject({ request: duration.optional(), backendRequest: duration.optional() }).optional(),
  retry: z
    .strictObject({
      codes: z.array(z.int().min(400).max(599)).optional(),
      attempts: z.int().min(0).optional(),
      backoff: duration.optional(),
    })
    .optional(),
  sessionPersistence: sessionPersistence.optional(),
});

/** Gateway API HTTPRoute: every field, with the defaults of its CRD; durations are milliseconds. */
export const httpRouteSchema = z.strictObject({
  ...commonRoute,
  hostnames: z.array(hostname).max(16).optional(),
  rules: z
    .array(httpRouteRule)
    .min(1)
    .max(16)
    .default(() => [{ matches: [{ path: { ...ANY_PATH } }] }]),
});
