import { create } from '@bufbuild/protobuf';
import type { AuthzBody, AuthzHttpService, ExtAuthzConfig, ExtAuthzRouteConfig } from '../model/ext-authz.js';
import type { StringMatcher } from '../model/matcher.js';
import { core, httpExtAuthz as filter, matcher, type type } from '../proto/xds.js';
import { onlyFields } from './field-guard.js';
import {
  decodeGrpcService,
  decodeNamedFormats,
  encodeGrpcService,
  encodeNamedFormats,
} from './grpc-service.js';
import { decodeHttpUri, encodeHttpUri } from './http-uri.js';
import { decodeStringMatcher, encodeStringMatcher } from './matcher.js';
import { decodeMutationRules, encodeMutationRules } from './mutation-rules.js';
import { at, type Path, refuse, required } from './path.js';
import { decodeRuntimeFraction, encodeRuntimeFraction } from './percent.js';
import { keysOf, wireKey } from './runtime-keys.js';
import { decodeMetadataMatcher, encodeMetadataMatcher } from './value-matcher.js';

const configFields = onlyFields(() => filter.ExtAuthzSchema, {
  enforced: [
    'grpc_service',
    'http_service',
    'transport_api_version',
    'failure_mode_allow',
    'failure_mode_allow_header_add',
    'with_request_body',
    'status_on_error',
    'validate_mutations',
    'metadata_context_namespaces',
    'route_metadata_context_namespaces',
    'filter_enabled',
    'filter_enabled_metadata',
    'stat_prefix',
    'charge_cluster_response_stats',
    'deny_at_disable',
    'include_peer_certificate',
    'include_tls_session',
    'allowed_headers',
    'disallowed_headers',
    'encode_raw_headers',
    'clear_route_cache',
    'decoder_header_mutation_rules',
    'enable_dynamic_metadata_ingestion',
  ],
  ignored: [
    // Metadata here has no typed values, so that there is never one to send.
    'typed_metadata_context_namespaces',
    'route_typed_metadata_context_namespaces',
  ],
});
const httpFields = onlyFields(() => filter.HttpServiceSchema, {
  enforced: ['server_uri', 'path_prefix', 'authorization_request', 'authorization_response'],
});
const bodyFields = onlyFields(() => filter.BufferSettingsSchema, {
  enforced: ['max_request_bytes', 'allow_partial_message', 'pack_as_bytes'],
});
const routeFields = onlyFields(() => filter.ExtAuthzPerRouteSchema, {
  enforced: ['disabled', 'check_settings'],
});
const settingsFields = onlyFields(() => filter.CheckSettingsSchema, {
  enforced: ['context_extensions', 'disable_request_body_buffering', 'with_request_body'],
});

const DEFAULT_STATUS_ON_ERROR = 403;
const MIN_STATUS = 200;
const MAX_STATUS = 599;

/** The external authorization filter's configuration. */
export function decodeExtAuthz(message: filter.ExtAuthz, path: Path): ExtAuthzConfig {
  configFields(message, path);
  // Envoy: the default of the field is a version that is gone; the HTTP service has none.
  if (message.services.case === 'grpcService' && message.transportApiVersion !== core.ApiVersion.V3) {
    refuse(at(path, 'transport_api_version'), 'must be V3');
  }
  const { withRequestBody, statusOnError, filterEnabled, filterEnabledMetadata, denyAtDisable } = message;
  const { decoderHeaderMutationRules: rules } = message;
  return {
    kind: 'ext-authz',
    service: decodeService(message.services, path),
    failureModeAllow: message.failureModeAllow,
    failureModeAllowHeaderAdd: message.failureModeAllowHeaderAdd,
    clearRouteCache: message.clearRouteCache || undefined,
    body: withRequestBody && decodeBody(withRequestBody, at(path, 'with_request_body')),
    statusOnError: decodeStatus(statusOnError, at(path, 'status_on_error')),
    validateMutations: message.validateMutations,
    metadataNamespaces: message.metadataContextNamespaces,
    routeMetadataNamespaces: message.routeMetadataContextNamespaces,
    enabled: filterEnabled && decodeRuntimeFraction(filterEnabled, at(path, 'filter_enabled')),
    enabledMetadata:
      filterEnabledMetadata &&
      decodeMetadataMatcher(filterEnabledMetadata, at(path, 'filter_enabled_metadata')),
    denyAtDisable: decodeFlag(denyAtDisable, at(path, 'deny_at_disable')),
    ...keysOf({ denyAtDisable }),
    includePeerCertificate: message.includePeerCertificate,
    includeTlsSession: message.includeTlsSession,
    allowedHeaders: decodeAllowedHeaders(message, path),
    disallowedHeaders: decodeMatchers(message.disallowedHeaders, at(path, 'disallowed_headers')),
    encodeRawHeaders: message.encodeRawHeaders,
    mutationRules: rules && decodeMutationRules(rules, at(path, 'decoder_header_mutation_rules')),
    ingestMetadata: message.enableDynamicMetadataIngestion ?? true,
    statPrefix: message.statPrefix,
    chargeCluster: message.chargeClusterResponseStats ?? true,
  };
}

function decodeStatus(status: type.HttpStatus | undefined, path: Path): number {
  const code: number = status?.code ?? 0;
  if (code > MAX_STATUS) refuse(path, `${code} is no status`);
  // Envoy: what is none of an answer counts as not set.
  return code < MIN_STATUS ? DEFAULT_STATUS_ON_ERROR : code;
}

function decodeFlag(flag: core.RuntimeFeatureFlag | undefined, path: Path): boolean {
  if (flag === undefined) return false;
  return required(flag.defaultValue, at(path, 'default_value'));
}

function decodeService(services: filter.ExtAuthz['services'], path: Path): ExtAuthzConfig['service'] {
  switch (services.case) {
    case 'grpcService':
      return { kind: 'grpc', service: decodeGrpcService(services.value, at(path, 'grpc_service')) };
    case 'httpService':
      return decodeHttpService(services.value, at(path, 'http_service'));
    default:
      return refuse(path, 'needs grpc_service or http_service');
  }
}

function decodeHttpService(message: filter.HttpService, path: Path): AuthzHttpService {
  httpFields(message, path);
  const { serverUri, pathPrefix, authorizationRequest: request, authorizationResponse: response } = message;
  // Envoy: it stands before a path, so it is one.
  if (pathPrefix !== '' && !pathPrefix.startsWith('/'))
    refuse(at(path, 'path_prefix'), 'must begin with "/"');
  if (/[\0\r\n\s]/.test(pathPrefix)) refuse(at(path, 'path_prefix'), 'is no path');
  const list = (field: string, one: matcher.ListStringMatcher | undefined) =>
    decodeMatchers(one, at(at(path, 'authorization_response'), field));
  return {
    kind: 'http',
    uri: decodeHttpUri(required(serverUri, at(path, 'server_uri')), at(path, 'server_uri')),
    pathPrefix,
    headersToAdd: decodeNamedFormats(
      request?.headersToAdd ?? [],
      at(path, 'authorization_request'),
      'headers_to_add',
    ),
    upstreamHeaders: list('allowed_upstream_headers', response?.allowedUpstreamHeaders),
    upstreamHeadersToAppend: list(
      'allowed_upstream_headers_to_append',
      response?.allowedUpstreamHeadersToAppend,
    ),
    clientHeaders: list('allowed_client_headers', response?.allowedClientHeaders),
    clientHeadersOnSuccess: list(
      'allowed_client_headers_on_success',
      response?.allowedClientHeadersOnSuccess,
    ),
    dynamicMetadataFromHeaders: list('dynamic_metadata_from_headers', response?.dynamicMetadataFromHeaders),
  };
}

/** Envoy: the list of the HTTP service is the older one; the filter's own goes before it. */
function decodeAllowedHeaders(message: filter.ExtAuthz, path: Path): readonly StringMatcher[] | undefined {
  const { allowedHeaders, services } = message;
  const older =
    services.case === 'httpService' ? services.value.authorizationRequest?.allowedHeaders : undefined;
  if (allowedHeaders !== undefined && older !== undefined) {
    refuse(at(path, 'allowed_headers'), 'may not stand next to that of the http_service');
  }
  const list = allowedHeaders ?? older;
  return list && decodeMatchers(list, at(path, 'allowed_headers'));
}

function decodeMatchers(list: matcher.ListStringMatcher | undefined, path: Path): readonly StringMatcher[] {
  return (list?.patterns ?? []).map((one, index) => decodeStringMatcher(one, at(path, 'patterns', index)));
}

function decodeBody(message: filter.BufferSettings, path: Path): AuthzBody {
  bodyFields(message, path);
  const { maxRequestBytes, allowPartialMessage, packAsBytes } = message;
  if (maxRequestBytes === 0) refuse(at(path, 'max_request_bytes'), 'must be greater than 0');
  return { maxBytes: maxRequestBytes, allowPartial: allowPartialMessage, packAsBytes };
}

/** The external authorization filter's configuration for a route. */
export function decodeExtAuthzRoute(message: filter.ExtAuthzPerRoute, path: Path): ExtAuthzRouteConfig {
  routeFields(message, path);
  const { override } = message;
  switch (override.case) {
    case 'disabled':
      if (!override.value) refuse(at(path, 'disabled'), 'must be true');
      return { kind: 'ext-authz-route', settings: undefined };
    case 'checkSettings':
      return {
        kind: 'ext-authz-route',
        settings: decodeSettings(override.value, at(path, 'check_settings')),
      };
    default:
      return refuse(path, 'needs disabled or check_settings');
  }
}

function decodeSettings(
  message: filter.CheckSettings,
  path: Path,
): NonNullable<ExtAuthzRouteConfig['settings']> {
  settingsFields(message, path);
  const { contextExtensions, disableRequestBodyBuffering, withRequestBody } = message;
  if (disableRequestBodyBuffering && withRequestBody !== undefined) {
    refuse(at(path, 'with_request_body'), 'may not stand next to disable_request_body_buffering');
  }
  return {
    contextExtensions: new Map(Object.entries(contextExtensions)),
    disableBody: disableRequestBodyBuffering,
    body: withRequestBody && decodeBody(withRequestBody, at(path, 'with_request_body')),
  };
}

/** The external authorization filter's configuration as a message. */
export function encodeExtAuthz(config: ExtAuthzConfig): filter.ExtAuthz {
  const message = create(filter.ExtAuthzSchema, {
    services: encodeService(config.service),
    transportApiVersion: core.ApiVersion.V3,
    failureModeAllow: config.failureModeAllow,
    failureModeAllowHeaderAdd: config.failureModeAllowHeaderAdd,
    clearRouteCache: config.clearRouteCache ?? false,
    statusOnError: { code: config.statusOnError },
    validateMutations: config.validateMutations,
    metadataContextNamespaces: [...config.metadataNamespaces],
    routeMetadataContextNamespaces: [...config.routeMetadataNamespaces],
    includePeerCertificate: config.includePeerCertificate,
    includeTlsSession: config.includeTlsSession,
    encodeRawHeaders: config.encodeRawHeaders,
    statPrefix: config.statPrefix,
    // Both are true unless they are said to be otherwise.
    ...(!config.ingestMetadata && { enableDynamicMetadataIngestion: false }),
    ...(!config.chargeCluster && { chargeClusterResponseStats: false }),
  });
  const { body, enabled, enabledMetadata, allowedHeaders, disallowedHeaders, mutationRules } = config;
  if (body !== undefined) message.withRequestBody = encodeBody(body);
  if (enabled !== undefined) message.filterEnabled = encodeRuntimeFraction(enabled);
  if (enabledMetadata !== undefined) message.filterEnabledMetadata = encodeMetadataMatcher(enabledMetadata);
  if (config.denyAtDisable || config.runtimeKeys?.denyAtDisable !== undefined) {
    message.denyAtDisable = create(core.RuntimeFeatureFlagSchema, {
      defaultValue: config.denyAtDisable,
      runtimeKey: wireKey(config.runtimeKeys, 'denyAtDisable'),
    });
  }
  if (allowedHeaders !== undefined) message.allowedHeaders = encodeMatchers(allowedHeaders);
  if (disallowedHeaders.length > 0) message.disallowedHeaders = encodeMatchers(disallowedHeaders);
  if (mutationRules !== undefined) message.decoderHeaderMutationRules = encodeMutationRules(mutationRules);
  return message;
}

function encodeService(service: ExtAuthzConfig['service']): filter.ExtAuthz['services'] {
  if (service.kind === 'grpc') return { case: 'grpcService', value: encodeGrpcService(service.service) };
  const value = create(filter.HttpServiceSchema, {
    serverUri: encodeHttpUri(service.uri),
    pathPrefix: service.pathPrefix,
    ...(service.headersToAdd.length > 0 && {
      authorizationRequest: { headersToAdd: encodeNamedFormats(service.headersToAdd) },
    }),
  });
  const response = encodeResponseLists(service);
  if (response !== undefined) value.authorizationResponse = response;
  return { case: 'httpService', value };
}

/** A list that is empty says what one that is not there does. */
function encodeResponseLists(service: AuthzHttpService): filter.AuthorizationResponse | undefined {
  const message = create(filter.AuthorizationResponseSchema);
  const lists = [
    ['allowedUpstreamHeaders', service.upstreamHeaders],
    ['allowedUpstreamHeadersToAppend', service.upstreamHeadersToAppend],
    ['allowedClientHeaders', service.clientHeaders],
    ['allowedClientHeadersOnSuccess', service.clientHeadersOnSuccess],
    ['dynamicMetadataFromHeaders', service.dynamicMetadataFromHeaders],
  ] as const;
  const given = lists.filter(([, matchers]) => matchers.length > 0);
  for (const [field, matchers] of given) message[field] = encodeMatchers(matchers);
  return given.length === 0 ? undefined : message;
}

function encodeMatchers(matchers: readonly StringMatcher[]): matcher.ListStringMatcher {
  return create(matcher.ListStringMatcherSchema, { patterns: matchers.map(encodeStringMatcher) });
}

function encodeBody({ maxBytes, allowPartial, packAsBytes }: AuthzBody): filter.BufferSettings {
  return create(filter.BufferSettingsSchema, {
    maxRequestBytes: maxBytes,
    allowPartialMessage: allowPartial,
    packAsBytes,
  });
}

/** The external authorization filter's configuration for a route as a message. */
export function encodeExtAuthzRoute({ settings }: ExtAuthzRouteConfig): filter.ExtAuthzPerRoute {
  if (settings === undefined) {
    return create(filter.ExtAuthzPerRouteSchema, { override: { case: 'disabled', value: true } });
  }
  const value = create(filter.CheckSettingsSchema, {
    contextExtensions: Object.fromEntries(settings.contextExtensions),
    disableRequestBodyBuffering: settings.disableBody,
  });
  if (settings.body !== undefined) value.withRequestBody = encodeBody(settings.body);
  return create(filter.ExtAuthzPerRouteSchema, { override: { case: 'checkSettings', value } });
}
