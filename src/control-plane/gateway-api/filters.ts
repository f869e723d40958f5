import type {
  ApiCors,
  ApiGrpcFilter,
  ApiHeaderFilter,
  ApiHttpFilter,
  ApiMirror,
} from '../kinds/gateway-api/types.js';
import type { ApiRuleExtras, HttpHeaders, HttpRoute, StringMatch } from '../kinds/types.js';
import { targetOfBackend } from './backends.js';
import { isComplaint } from './certificates.js';
import type { Grants } from './grants.js';
import type { ApiRoute } from './parents.js';
import { isUnsupportedFilter } from './route-status.js';

type Filter = ApiHttpFilter | ApiGrpcFilter;

/** What the filters of a rule or of a backend come to. */
export interface FilterEffects {
  readonly headers: HttpHeaders | undefined;
  readonly redirect: ApiRuleExtras['redirect'];
  readonly answer: ApiRuleExtras['answer'];
  readonly rewrite: ApiRuleExtras['rewrite'];
  readonly mirrors: HttpRoute['mirrors'];
  readonly corsPolicy: HttpRoute['corsPolicy'];
  /** One of them is not carried out: Gateway API: then requests are answered with an error. */
  readonly isBroken: boolean;
}

/** Reads a list of filters. */
export function effectsOf(filters: readonly Filter[] = [], route: ApiRoute, grants: Grants): FilterEffects {
  // A filter of a GRPCRoute has some of the fields of one of an HTTPRoute.
  const all: readonly ApiHttpFilter[] = filters;
  const find = <K extends keyof ApiHttpFilter>(field: K) =>
    all.find((one) => one[field] !== undefined)?.[field];
  const cors = find('cors');
  const mirrors = all.flatMap(({ requestMirror }) =>
    requestMirror === undefined ? [] : mirrorOf(requestMirror, route, grants),
  );
  return {
    headers: headersOf(find('requestHeaderModifier'), find('responseHeaderModifier')),
    redirect: find('requestRedirect'),
    answer: find('directResponse'),
    rewrite: find('urlRewrite'),
    mirrors: mirrors.length === 0 ? undefined : mirrors,
    corsPolicy: cors && corsOf(cors),
    isBroken: all.some(isUnsupportedFilter),
  };
}

function headersOf(
  request: ApiHeaderFilter | undefined,
  response: ApiHeaderFilter | undefined,
): HttpHeaders | undefined {
  if (request === undefined && response === undefined) return undefined;
  return {
    ...(request !== undefined && { request: operationsOf(request) }),
    ...(response !== undefined && { response: operationsOf(response) }),
  };
}

function operationsOf({
  set = [],
  add = [],
  remove = [],
}: ApiHeaderFilter): NonNullable<HttpHeaders['request']> {
  return { set: mapOf(set), add: mapOf(add), remove };
}

/** Of names that differ in case only the first counts. */
function mapOf(list: NonNullable<ApiHeaderFilter['set']>): Record<string, string> {
  // Object.create is typed any; the object holds names and values of headers.
  const map = Object.create(null) as Record<string, string>;
  for (const { name, value } of list) map[name.toLowerCase()] ??= value;
  return map;
}

/** A mirror that leads nowhere is none; the status of the route says so. */
function mirrorOf(
  { backendRef, percent, fraction }: ApiMirror,
  route: ApiRoute,
  grants: Grants,
): NonNullable<HttpRoute['mirrors']>[number][] {
  const target = targetOfBackend(route, backendRef, grants);
  if (isComplaint(target)) return [];
  const value = fraction === undefined ? (percent ?? 100) : (100 * fraction.numerator) / fraction.denominator;
  const destination = { host: target.host, port: { number: target.port } };
  return [{ destination, percentage: { value } }];
}

function corsOf(cors: ApiCors): NonNullable<HttpRoute['corsPolicy']> {
  const { allowOrigins = [], allowMethods, allowHeaders, exposeHeaders, allowCredentials, maxAge } = cors;
  return {
    allowOrigins: allowOrigins.map(originOf),
    ...(allowMethods !== undefined && { allowMethods }),
    ...(allowHeaders !== undefined && { allowHeaders }),
    ...(exposeHeaders !== undefined && { exposeHeaders }),
    ...(allowCredentials === true && { allowCredentials }),
    maxAge: maxAge * 1000,
  };
}

/** `*` stands for any text, in front of a host for one label or more. */
function originOf(origin: string): StringMatch {
  if (!origin.includes('*')) return { exact: origin };
  const escaped = origin.replaceAll(/[.+?^${}()|[\]\\]/g, '\\$&').replaceAll('*', '.*');
  return { regex: escaped };
}
