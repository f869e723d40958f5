import { create } from '@bufbuild/protobuf';
import type { FilterDirection } from '../model/custom-filter.js';
import type { FilterConfig, FilterOverrides } from '../model/filter-config.js';
import { NO_OVERRIDES } from '../model/filter-config.js';
import { anyIs, packAny, typeNameOf } from '../proto/any.js';
import {
  httpAdaptiveConcurrency,
  httpAdmissionControl,
  httpCors,
  httpDynamicForwardProxy,
  httpExtAuthz,
  httpFault,
  httpHeaderMutation,
  httpJwtAuthn,
  httpRateLimit,
  httpRouter,
  httpStatefulSession,
  route,
  udpaType,
  type wkt,
  xdsType,
} from '../proto/xds.js';
import { BODY_FILTER_CODECS } from './body-filters.js';
import { decodeAny } from './codec.js';
import { decodeCorsPolicy, encodeCorsPolicy } from './cors.js';
import { encodeCustom, type FilterBytes, findCustom } from './custom-filter.js';
import { decodeExtAuthz, decodeExtAuthzRoute, encodeExtAuthz, encodeExtAuthzRoute } from './ext-authz.js';
import { decodeFault, encodeFault } from './fault.js';
import { onlyFields } from './field-guard.js';
import { type FilterCodec, filterCodec } from './filter-codec.js';
import {
  decodeForwardProxy,
  decodeForwardProxyRoute,
  encodeForwardProxy,
  encodeForwardProxyRoute,
} from './forward-proxy.js';
import {
  decodeGlobalRateLimit,
  decodeGlobalRateLimitRoute,
  encodeGlobalRateLimit,
  encodeGlobalRateLimitRoute,
} from './global-rate-limit.js';
import {
  decodeHeaderMutation,
  decodeHeaderMutationRoute,
  encodeHeaderMutation,
  encodeHeaderMutationRoute,
} from './header-mutation-filter.js';
import { decodeJwtAuthn, decodeJwtAuthnRoute, encodeJwtAuthn, encodeJwtAuthnRoute } from './jwt-authn.js';
import { LOCAL_FILTER_CODECS } from './local-filters.js';
import { ON_DEMAND_CODECS } from './on-demand.js';
import {
  decodeAdaptiveConcurrency,
  decodeAdmissionControl,
  encodeAdaptiveConcurrency,
  encodeAdmissionControl,
} from './overload.js';
import { at, atKey, type Path, refuse } from './path.js';
import { decodeRouter, encodeRouter } from './router.js';
import {
  decodeStatefulSession,
  decodeStatefulSessionRoute,
  encodeStatefulSession,
  encodeStatefulSessionRoute,
} from './stateful-session.js';

/** Every filter that can be configured. A new filter adds its line. */
const FILTER_CODECS: readonly FilterCodec[] = [
  ...LOCAL_FILTER_CODECS,
  ...BODY_FILTER_CODECS,
  ...ON_DEMAND_CODECS,
  filterCodec({
    kind: 'fault',
    schema: () => httpFault.HTTPFaultSchema,
    isPerRoute: true,
    decode: decodeFault,
    encode: encodeFault,
  }),
  filterCodec({
    kind: 'adaptive-concurrency',
    schema: () => httpAdaptiveConcurrency.AdaptiveConcurrencySchema,
    isPerRoute: false,
    decode: decodeAdaptiveConcurrency,
    encode: encodeAdaptiveConcurrency,
  }),
  filterCodec({
    kind: 'admission-control',
    schema: () => httpAdmissionControl.AdmissionControlSchema,
    isPerRoute: false,
    decode: decodeAdmissionControl,
    encode: encodeAdmissionControl,
  }),
  filterCodec({
    kind: 'header-mutation',
    schema: () => httpHeaderMutation.HeaderMutationSchema,
    isPerRoute: false,
    decode: decodeHeaderMutation,
    encode: encodeHeaderMutation,
  }),
  filterCodec({
    kind: 'header-mutation-route',
    schema: () => httpHeaderMutation.HeaderMutationPerRouteSchema,
    isPerRoute: 'only',
    decode: decodeHeaderMutationRoute,
    encode: encodeHeaderMutationRoute,
  }),
  filterCodec({
    kind: 'cors',
    schema: () => httpCors.CorsSchema,
    isPerRoute: false,
    decode: () => ({ kind: 'cors' }),
    encode: () => create(httpCors.CorsSchema),
  }),
  filterCodec({
    kind: 'cors-policy',
    schema: () => httpCors.CorsPolicySchema,
    isPerRoute: 'only',
    decode: decodeCorsPolicy,
    encode: encodeCorsPolicy,
  }),
  filterCodec({
    kind: 'jwt-authn',
    schema: () => httpJwtAuthn.JwtAuthenticationSchema,
    isPerRoute: false,
    decode: decodeJwtAuthn,
    encode: encodeJwtAuthn,
  }),
  filterCodec({
    kind: 'jwt-authn-route',
    schema: () => httpJwtAuthn.PerRouteConfigSchema,
    isPerRoute: 'only',
    decode: decodeJwtAuthnRoute,
    encode: encodeJwtAuthnRoute,
  }),
  filterCodec({
    kind: 'forward-proxy',
    schema: () => httpDynamicForwardProxy.FilterConfigSchema,
    isPerRoute: false,
    decode: decodeForwardProxy,
    encode: encodeForwardProxy,
  }),
  filterCodec({
    kind: 'forward-proxy-route',
    schema: () => httpDynamicForwardProxy.PerRouteConfigSchema,
    isPerRoute: 'only',
    decode: decodeForwardProxyRoute,
    encode: encodeForwardProxyRoute,
  }),
  filterCodec({
    kind: 'ext-authz',
    schema: () => httpExtAuthz.ExtAuthzSchema,
    isPerRoute: false,
    decode: decodeExtAuthz,
    encode: encodeExtAuthz,
  }),
  filterCodec({
    kind: 'ext-authz-route',
    schema: () => httpExtAuthz.ExtAuthzPerRouteSchema,
    isPerRoute: 'only',
    decode: decodeExtAuthzRoute,
    encode: encodeExtAuthzRoute,
  }),
  filterCodec({
    kind: 'global-rate-limit',
    schema: () => httpRateLimit.RateLimitSchema,
    isPerRoute: false,
    decode: decodeGlobalRateLimit,
    encode: encodeGlobalRateLimit,
  }),
  filterCodec({
    kind: 'global-rate-limit-route',
    schema: () => httpRateLimit.RateLimitPerRouteSchema,
    isPerRoute: 'only',
    decode: decodeGlobalRateLimitRoute,
    encode: encodeGlobalRateLimitRoute,
  }),
  filterCodec({
    kind: 'stateful-session',
    schema: () => httpStatefulSession.StatefulSessionSchema,
    isPerRoute: false,
    decode: decodeStatefulSession,
    encode: encodeStatefulSession,
  }),
  filterCodec({
    kind: 'stateful-session-route',
    schema: () => httpStatefulSession.StatefulSessionPerRouteSchema,
    isPerRoute: 'only',
    decode: decodeStatefulSessionRoute,
    encode: encodeStatefulSessionRoute,
  }),
  filterCodec({
    kind: 'router',
    schema: () => httpRouter.RouterSchema,
    isPerRoute: false,
    decode: decodeRouter,
    encode: encodeRouter,
  }),
];

const perRouteFields = onlyFields(() => route.FilterConfigSchema, {
  enforced: ['config', 'is_optional', 'disabled'],
});

/**
 * The filter's configuration. Undefined when the filter is unknown and optional; an unknown filter that is not optional
 * is refused, because what it was put there for (say, authorization) would not happen.
 */
export function decodeFilter(
  any: wkt.Any,
  { name, isOptional, direction }: FilterEntry,
  path: Path,
): FilterConfig | undefined {
  const given = filterBytes(any, path);
  const codec = codecOf(given);
  if (codec !== undefined) {
    if (codec.isPerRoute === 'only') refuse(path, `the ${codec.kind} is for routes only`);
    if (codec.isOutbound && direction === 'inbound')
      return isOptional ? undefined : refuse(path, `the ${codec.kind} is not for inbound requests`);
    return decodeWith(codec, given, path);
  }
  const custom = findCustom(given, name, path);
  if (custom === undefined) return unknown(given, isOptional, path);
  if (custom.type.runs(direction)) return custom.decode('filter', path);
  // gRFC A39: a filter that is not for this side counts as one that is not known.
  return isOptional
    ? undefined
    : refuse(path, `the filter ${custom.type.name} is not for ${direction} requests`);
}

/** The type of a configuration, also when it comes as JSON within a TypedStruct. */
export function filterTypeUrl(any: wkt.Any, path: Path): string {
  return filterBytes(any, path).typeUrl;
}

/** What an entry of `http_filters` says besides the configuration. */
export interface FilterEntry {
  readonly name: string;
  readonly isOptional: boolean;
  readonly direction: FilterDirection;
}

/** The filter's configuration as an `Any`. */
export function encodeFilter(config: FilterConfig): wkt.Any {
  if (config.kind === 'custom') return encodeCustom(config);
  const codec = FILTER_CODECS.find(({ kind }) => kind === config.kind);
  if (codec === undefined) throw new TypeError(`no codec for the filter ${config.kind}`);
  return codec.toAny(config);
}

/** A `typed_per_filter_config` map. */
export function decodeOverrides(configs: Readonly<Record<string, wkt.Any>>, path: Path): FilterOverrides {
  const names = Object.keys(configs);
  if (names.length === 0) return NO_OVERRIDES;
  const overrides = new Map<string, FilterConfig>();
  for (const name of names) {
    const any = configs[name];
    const config = any && decodeOverride(any, name, atKey(path, 'typed_per_filter_config', name));
    if (config !== undefined) overrides.set(name, config);
  }
  return overrides;
}

/** The overrides as a `typed_per_filter_config` map. */
export function encodeOverrides(overrides: FilterOverrides): Record<string, wkt.Any> {
  return Object.fromEntries([...overrides].map(([name, config]) => [name, encodeOverride(config)]));
}

function encodeOverride(config: FilterConfig): wkt.Any {
  const { FilterConfigSchema } = route;
  return config.kind === 'disabled'
    ? packAny(FilterConfigSchema, create(FilterConfigSchema, { disabled: true }))
    : encodeFilter(config);
}

function decodeOverride(any: wkt.Any, name: string, path: Path): FilterConfig | undefined {
  const wrapper = decodeAny(route.FilterConfigSchema, any, path);
  if (wrapper === undefined) return decodePerRoute(any, { name, isOptional: false }, path);
  perRouteFields(wrapper, path);
  // Envoy: whatever configuration stands next to it is ignored.
  if (wrapper.disabled) return { kind: 'disabled' };
  if (wrapper.config === undefined) return refuse(at(path, 'config'), 'is required');
  return decodePerRoute(wrapper.config, { name, isOptional: wrapper.isOptional }, at(path, 'config'));
}

function decodePerRoute(
  any: wkt.Any,
  { name, isOptional }: Omit<FilterEntry, 'direction'>,
  path: Path,
): FilterConfig | undefined {
  const given = filterBytes(any, path);
  const codec = codecOf(given);
  if (codec === undefined) {
    const custom = findCustom(given, name, path);
    return custom === undefined ? unknown(given, isOptional, path) : custom.decode('route', path);
  }
  if (!codec.isPerRoute) refuse(path, `the ${codec.kind} has no per-route configuration`);
  const config = decodeWith(codec, given, path);
  codec.checkRoute(config, path);
  return config;
}

function unknown({ typeUrl }: FilterBytes, isOptional: boolean, path: Path): undefined {
  if (isOptional) return undefined;
  return refuse(path, `the filter ${JSON.stringify(typeNameOf(typeUrl))} is not supported`);
}

/** An `Any` holds the configuration itself or, as JSON, within a TypedStruct. */
function filterBytes(any: wkt.Any, path: Path): FilterBytes {
  const struct = typedStruct(any, path);
  return struct === undefined
    ? { typeUrl: any.typeUrl, bytes: any.value, json: undefined }
    : { typeUrl: struct.typeUrl, bytes: any.value, json: struct.value ?? {} };
}

function codecOf({ typeUrl }: FilterBytes): FilterCodec | undefined {
  const typeName = typeNameOf(typeUrl);
  return FILTER_CODECS.find(({ schema }) => schema().typeName === typeName);
}

function decodeWith(codec: FilterCodec, { bytes, json }: FilterBytes, path: Path): FilterConfig {
  return json === undefined ? codec.fromBytes(bytes, path) : codec.fromJson(json, path);
}

function typedStruct(any: wkt.Any, path: Path): xdsType.TypedStruct | udpaType.TypedStruct | undefined {
  // The names are compared first: reading the second schema would load its package for every filter.
  if (anyIs(any, xdsType.TypedStructSchema)) return decodeAny(xdsType.TypedStructSchema, any, path);
  return typeNameOf(any.typeUrl) === 'udpa.type.v1.TypedStruct'
    ? decodeAny(udpaType.TypedStructSchema, any, path)
    : undefined;
}
