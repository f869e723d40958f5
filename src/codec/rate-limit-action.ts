import { create } from '@bufbuild/protobuf';
import type { RateLimitAction } from '../model/rate-limit.js';
import { packAny } from '../proto/any.js';
import { matcher, route } from '../proto/xds.js';
import { unreachable } from '../runtime/errors.js';
import { decodeAny } from './codec.js';
import { extensionConfig } from './extension.js';
import { headerName } from './header-mutation.js';
import {
  decodeHeaderMatcher,
  decodeQueryMatcher,
  encodeHeaderMatcher,
  encodeQueryMatcher,
} from './matcher.js';
import { decodeMetadataPath, encodeMetadataPath } from './metadata-path.js';
import { at, type Path, refuse } from './path.js';

type Specifier = route.RateLimit_Action['actionSpecifier'];
type Message<Case extends Specifier['case']> =
  Extract<Specifier, { case: Case }> extends { value: infer V } ? V : never;

/** One action. */
export function decodeRateLimitAction(message: route.RateLimit_Action, path: Path): RateLimitAction {
  const { actionSpecifier: action } = message;
  switch (action.case) {
    case 'sourceCluster':
      return { kind: 'source-cluster' };
    case 'destinationCluster':
      return { kind: 'destination-cluster' };
    case 'remoteAddress':
      return { kind: 'remote-address' };
    case 'maskedRemoteAddress':
      return decodeMasked(action.value, at(path, 'masked_remote_address'));
    case 'requestHeaders':
      return decodeHeader(action.value, at(path, 'request_headers'));
    case 'queryParameters':
      return decodeParameter(action.value, at(path, 'query_parameters'));
    case 'genericKey':
      return {
        kind: 'generic-key',
        key: action.value.descriptorKey || 'generic_key',
        ...decodeValue(action.value, at(path, 'generic_key')),
      };
    case 'headerValueMatch':
      return decodeHeaderMatch(action.value, at(path, 'header_value_match'));
    case 'queryParameterValueMatch':
      return decodeQueryMatch(action.value, at(path, 'query_parameter_value_match'));
    case 'dynamicMetadata':
      return decodeDynamic(action.value, at(path, 'dynamic_metadata'));
    case 'metadata':
      return decodeMetadata(action.value, at(path, 'metadata'));
    case 'extension':
      return decodeInput(action.value, at(path, 'extension'));
    default:
      return refuse(path, 'needs an action');
  }
}

function key(text: string, path: Path): string {
  return text === '' ? refuse(at(path, 'descriptor_key'), 'must not be empty') : text;
}

function decodeValue(
  { descriptorValue, defaultValue }: { descriptorValue: string; defaultValue: string },
  path: Path,
) {
  if (descriptorValue === '') refuse(at(path, 'descriptor_value'), 'must not be empty');
  return { value: descriptorValue, defaultValue };
}

function decodeMasked(message: Message<'maskedRemoteAddress'>, path: Path): RateLimitAction {
  const { v4PrefixMaskLen = 32, v6PrefixMaskLen = 128 } = message;
  if (v4PrefixMaskLen > 32) refuse(at(path, 'v4_prefix_mask_len'), 'must be at most 32');
  if (v6PrefixMaskLen > 128) refuse(at(path, 'v6_prefix_mask_len'), 'must be at most 128');
  return {
    kind: 'masked-remote-address',
    v4PrefixLength: v4PrefixMaskLen,
    v6PrefixLength: v6PrefixMaskLen,
  };
}

function decodeHeader(message: Message<'requestHeaders'>, path: Path): RateLimitAction {
  return {
    kind: 'request-header',
    name: anyHeaderName(message.headerName, at(path, 'header_name')),
    key: key(message.descriptorKey, path),
    skipIfAbsent: message.skipIfAbsent,
  };
}

/** A header name or that of a pseudo-header, lower case. */
function anyHeaderName(name: string, path: Path): string {
  return name.startsWith(':') ? `:${headerName(name.slice(1), path)}` : headerName(name, path);
}

function decodeParameter(message: Message<'queryParameters'>, path: Path): RateLimitAction {
  const { queryParameterName: name } = message;
  if (name === '') refuse(at(path, 'query_parameter_name'), 'must not be empty');
  return {
    kind: 'query-parameter',
    name,
    key: key(message.descriptorKey, path),
    skipIfAbsent: message.skipIfAbsent,
  };
}

function decodeHeaderMatch(message: Message<'headerValueMatch'>, path: Path): RateLimitAction {
  if (message.headers.length === 0) refuse(at(path, 'headers'), 'must not be empty');
  return {
    kind: 'header-value-match',
    key: message.descriptorKey || 'header_match',
    expectMatch: message.expectMatch ?? true,
    headers: message.headers.map((one, index) => decodeHeaderMatcher(one, at(path, 'headers', index))),
    ...decodeValue(message, path),
  };
}

function decodeQueryMatch(message: Message<'queryParameterValueMatch'>, path: Path): RateLimitAction {
  if (message.queryParameters.length === 0) refuse(at(path, 'query_parameters'), 'must not be empty');
  return {
    kind: 'query-parameter-value-match',
    key: message.descriptorKey || 'query_match',
    expectMatch: message.expectMatch ?? true,
    queryParameters: message.queryParameters.map((one, index) =>
      decodeQueryMatcher(one, at(path, 'query_parameters', index)),
    ),
    ...decodeValue(message, path),
  };
}

/** The older form of `metadata`. */
function decodeDynamic(message: Message<'dynamicMetadata'>, path: Path): RateLimitAction {
  return {
    kind: 'metadata',
    key: key(message.descriptorKey, path),
    source: 'dynamic',
    path: decodeMetadataPath(message.metadataKey, at(path, 'metadata_key')),
    defaultValue: message.defaultValue,
    skipIfAbsent: false,
  };
}

function decodeMetadata(message: Message<'metadata'>, path: Path): RateLimitAction {
  const { DYNAMIC, ROUTE_ENTRY } = route.RateLimit_Action_MetaData_Source;
  if (message.source !== DYNAMIC && message.source !== ROUTE_ENTRY) {
    refuse(at(path, 'source'), `has no value ${String(message.source)}`);
  }
  return {
    kind: 'metadata',
    key: key(message.descriptorKey, path),
    source: message.source === DYNAMIC ? 'dynamic' : 'route',
    path: decodeMetadataPath(message.metadataKey, at(path, 'metadata_key')),
    defaultValue: message.defaultValue,
    skipIfAbsent: message.skipIfAbsent,
  };
}

/** Envoy: inputs of matchers that read the request may stand for descriptor extensions; the name is the key. */
function decodeInput(extension: Message<'extension'>, path: Path): RateLimitAction {
  const where = at(path, 'typed_config');
  if (extension.name === '') refuse(at(path, 'name'), 'must not be empty');
  if (extension.typedConfig === undefined) return refuse(where, 'is required');
  const header = decodeAny(matcher.HttpRequestHeaderMatchInputSchema, extension.typedConfig, where);
  if (header !== undefined) {
    const name = anyHeaderName(header.headerName, at(where, 'header_name'));
    return { kind: 'header-input', key: extension.name, name };
  }
  const query = decodeAny(matcher.HttpRequestQueryParamMatchInputSchema, extension.typedConfig, where);
  if (query === undefined) return refuse(where, `${extension.typedConfig.typeUrl} is not supported`);
  if (query.queryParam === '') refuse(at(where, 'query_param'), 'must not be empty');
  return { kind: 'query-parameter-input', key: extension.name, name: query.queryParam };
}

/** The action as a message. */
export function encodeRateLimitAction(action: RateLimitAction): route.RateLimit_Action {
  return create(route.RateLimit_ActionSchema, { actionSpecifier: encodeSpecifier(action) });
}

function encodeSpecifier(action: RateLimitAction): Specifier {
  switch (action.kind) {
    case 'source-cluster':
      return { case: 'sourceCluster', value: create(route.RateLimit_Action_SourceClusterSchema) };
    case 'destination-cluster':
      return { case: 'destinationCluster', value: create(route.RateLimit_Action_DestinationClusterSchema) };
    case 'remote-address':
      return { case: 'remoteAddress', value: create(route.RateLimit_Action_RemoteAddressSchema) };
    case 'masked-remote-address':
      return {
        case: 'maskedRemoteAddress',
        value: create(route.RateLimit_Action_MaskedRemoteAddressSchema, {
          v4PrefixMaskLen: action.v4PrefixLength,
          v6PrefixMaskLen: action.v6PrefixLength,
        }),
      };
    case 'request-header':
      return {
        case: 'requestHeaders',
        value: create(route.RateLimit_Action_RequestHeadersSchema, {
          headerName: action.name,
          descriptorKey: action.key,
          skipIfAbsent: action.skipIfAbsent,
        }),
      };
    case 'query-parameter':
      return {
        case: 'queryParameters',
        value: create(route.RateLimit_Action_QueryParametersSchema, {
          queryParameterName: action.name,
          descriptorKey: action.key,
          skipIfAbsent: action.skipIfAbsent,
        }),
      };
    default:
      return encodeRich(action);
  }
}

type RichAction = Exclude<
  RateLimitAction,
  {
    kind:
      | 'source-cluster'
      | 'destination-cluster'
      | 'remote-address'
      | 'masked-remote-address'
      | 'request-header'
      | 'query-parameter';
  }
>;

function encodeRich(action: RichAction): Specifier {
  switch (action.kind) {
    case 'generic-key':
      return {
        case: 'genericKey',
        value: create(route.RateLimit_Action_GenericKeySchema, literal(action)),
      };
    case 'header-value-match':
      return {
        case: 'headerValueMatch',
        value: create(route.RateLimit_Action_HeaderValueMatchSchema, {
          ...literal(action),
          expectMatch: action.expectMatch,
          headers: action.headers.map(encodeHeaderMatcher),
        }),
      };
    case 'query-parameter-value-match':
      return {
        case: 'queryParameterValueMatch',
        value: create(route.RateLimit_Action_QueryParameterValueMatchSchema, {
          ...literal(action),
          expectMatch: action.expectMatch,
          queryParameters: action.queryParameters.map(encodeQueryMatcher),
        }),
      };
    case 'metadata':
      return { case: 'metadata', value: encodeMetadata(action) };
    case 'header-input':
    case 'query-parameter-input':
      return { case: 'extension', value: encodeInput(action) };
    default:
      return unreachable(action);
  }
}

function literal(action: { readonly key: string; readonly value: string; readonly defaultValue: string }) {
  return { descriptorKey: action.key, descriptorValue: action.value, defaultValue: action.defaultValue };
}

function encodeMetadata(
  action: Extract<RateLimitAction, { kind: 'metadata' }>,
): route.RateLimit_Action_MetaData {
  const { DYNAMIC, ROUTE_ENTRY } = route.RateLimit_Action_MetaData_Source;
  return create(route.RateLimit_Action_MetaDataSchema, {
    descriptorKey: action.key,
    metadataKey: encodeMetadataPath(action.path),
    defaultValue: action.defaultValue,
    source: action.source === 'dynamic' ? DYNAMIC : ROUTE_ENTRY,
    skipIfAbsent: action.skipIfAbsent,
  });
}

function encodeInput({
  kind,
  key: name,
  name: of,
}: Extract<RateLimitAction, { kind: 'header-input' | 'query-parameter-input' }>) {
  const header = matcher.HttpRequestHeaderMatchInputSchema;
  const query = matcher.HttpRequestQueryParamMatchInputSchema;
  const any =
    kind === 'header-input'
      ? packAny(header, create(header, { headerName: of }))
      : packAny(query, create(query, { queryParam: of }));
  return extensionConfig(name, any);
}
