import { isIP } from 'node:net';
import { create } from '@bufbuild/protobuf';
import type { HttpConnectionManager } from '../model/listener.js';
import {
  type AddressRange,
  NO_PROCESSING,
  type PathRules,
  type RequestProcessing,
} from '../model/request-processing.js';
import { core, httpConnectionManager as hcm } from '../proto/xds.js';
import { isEqual } from '../runtime/equal.js';
import { decodeHeaderValidation, encodeHeaderValidation } from './header-validation.js';
import { at, type Path, refuse } from './path.js';

/** Names of the connection manager's fields that are decoded here. */
export const PROCESSING_FIELDS: readonly string[] = [
  'normalize_path',
  'merge_slashes',
  'path_with_escaped_slashes_action',
  'typed_header_validation_config',
  'strip_matching_host_port',
  'strip_any_host_port',
  'strip_trailing_host_dot',
  'use_remote_address',
  'xff_num_trusted_hops',
  'skip_xff_append',
  'internal_address_config',
  'via',
  'generate_request_id',
  'preserve_external_request_id',
  'always_set_request_id_in_response',
  'scheme_header_transformation',
  'append_x_forwarded_port',
  'server_name',
  'server_header_transformation',
  'add_user_agent',
];

/** What is done to requests before routing: nothing, something to paths alone, or more. */
export function decodeProcessing(
  message: hcm.HttpConnectionManager,
  path: Path,
): Pick<HttpConnectionManager, 'processing' | 'paths'> {
  const processing: RequestProcessing = {
    normalizePath: message.normalizePath ?? false,
    mergeSlashes: message.mergeSlashes,
    escapedSlashes: decodeSlashes(message.pathWithEscapedSlashesAction, path),
    universalPath: decodeHeaderValidation(message, at(path, 'typed_header_validation_config')),
    stripHostPort: decodeStripPort(message, path),
    stripTrailingHostDot: message.stripTrailingHostDot,
    useRemoteAddress: message.useRemoteAddress ?? false,
    xffNumTrustedHops: message.xffNumTrustedHops,
    skipXffAppend: message.skipXffAppend,
    internalAddresses: (message.internalAddressConfig?.cidrRanges ?? []).map((range, index) =>
      decodeRange(range, at(at(path, 'internal_address_config'), 'cidr_ranges', index)),
    ),
    internalUnixSockets: message.internalAddressConfig?.unixSockets ?? false,
    via: /[\0\r\n]/.test(message.via) ? refuse(at(path, 'via'), 'contains a control character') : message.via,
    generateRequestId: message.generateRequestId ?? true,
    preserveExternalRequestId: message.preserveExternalRequestId,
    requestIdInResponse: message.alwaysSetRequestIdInResponse,
    scheme: decodeScheme(message.schemeHeaderTransformation, at(path, 'scheme_header_transformation')),
    appendForwardedPort: message.appendXForwardedPort,
    server: decodeServer(message, path),
    addUserAgent: message.addUserAgent ?? false,
  };
  const isAsked = message.generateRequestId !== undefined || message.useRemoteAddress !== undefined;
  const { normalizePath, mergeSlashes, escapedSlashes, universalPath } = processing;
  const paths = { normalizePath, mergeSlashes, escapedSlashes, universalPath };
  const isMore = isAsked || !isEqual({ ...processing, ...NO_PATH_RULES }, NO_PROCESSING);
  if (isMore) return { processing, paths: undefined };
  // That a path is to be left alone is said, too.
  const isSaid = message.normalizePath !== undefined || !isEqual(paths, NO_PATH_RULES);
  return { processing: undefined, paths: isSaid ? paths : undefined };
}

const NO_PATH_RULES: PathRules = {
  normalizePath: false,
  mergeSlashes: false,
  escapedSlashes: 'keep',
  universalPath: undefined,
};

type Slashes = hcm.HttpConnectionManager_PathWithEscapedSlashesAction;

function decodeSlashes(action: Slashes, path: Path): RequestProcessing['escapedSlashes'] {
  const actions = hcm.HttpConnectionManager_PathWithEscapedSlashesAction;
  switch (action) {
    case actions.IMPLEMENTATION_SPECIFIC_DEFAULT:
    case actions.KEEP_UNCHANGED:
      return 'keep';
    case actions.REJECT_REQUEST:
      return 'reject';
    case actions.UNESCAPE_AND_REDIRECT:
      return 'redirect';
    case actions.UNESCAPE_AND_FORWARD:
      return 'forward';
    default:
      return refuse(at(path, 'path_with_escaped_slashes_action'), `has no value ${String(action)}`);
  }
}

function encodeSlashes(action: RequestProcessing['escapedSlashes']): Slashes {
  const actions = hcm.HttpConnectionManager_PathWithEscapedSlashesAction;
  return {
    keep: actions.KEEP_UNCHANGED,
    reject: actions.REJECT_REQUEST,
    redirect: actions.UNESCAPE_AND_REDIRECT,
    forward: actions.UNESCAPE_AND_FORWARD,
  }[action];
}

function decodeStripPort(message: hcm.HttpConnectionManager, path: Path): RequestProcessing['stripHostPort'] {
  const { stripMatchingHostPort, stripPortMode } = message;
  const isAny = stripPortMode.case === 'stripAnyHostPort' && stripPortMode.value;
  if (stripMatchingHostPort && isAny) {
    refuse(at(path, 'strip_any_host_port'), 'may not stand next to strip_matching_host_port');
  }
  if (isAny) return 'any';
  return stripMatchingHostPort ? 'matching' : 'none';
}

function decodeRange(range: core.CidrRange, path: Path): AddressRange {
  const { addressPrefix: address, prefixLen: prefixLength = 0 } = range;
  const bits = { 0: -1, 4: 32, 6: 128 }[isIP(address)] ?? -1;
  if (prefixLength > bits) refuse(path, `${address}/${prefixLength} is no range of addresses`);
  return { address, prefixLength };
}

function decodeScheme(
  message: core.SchemeHeaderTransformation | undefined,
  path: Path,
): RequestProcessing['scheme'] {
  if (message === undefined) return undefined;
  if (message.matchUpstream) refuse(at(path, 'match_upstream'), 'is not supported');
  const { transformation } = message;
  if (transformation.case !== 'schemeToOverwrite') return undefined;
  const { value } = transformation;
  return value === 'http' || value === 'https'
    ? value
    : refuse(at(path, 'scheme_to_overwrite'), 'must be http or https');
}

/**
 * A server that names itself does so over the application's header. Without a name the application's header is left as it
 * is: Envoy would write its own name there, and this is no Envoy.
 */
function decodeServer(message: hcm.HttpConnectionManager, path: Path): RequestProcessing['server'] {
  const { serverName: name, serverHeaderTransformation: transformation } = message;
  const { OVERWRITE, APPEND_IF_ABSENT, PASS_THROUGH } = hcm.HttpConnectionManager_ServerHeaderTransformation;
  if (![OVERWRITE, APPEND_IF_ABSENT, PASS_THROUGH].includes(transformation)) {
    refuse(at(path, 'server_header_transformation'), `has no value ${String(transformation)}`);
  }
  if (/[\0\r\n]/.test(name)) refuse(at(path, 'server_name'), 'contains a control character');
  if (name === '' || transformation === PASS_THROUGH) return undefined;
  return { name, overwrite: transformation === OVERWRITE };
}

/** Writes what is done to paths into the connection manager. */
export function encodePathRules(rules: PathRules, message: hcm.HttpConnectionManager): void {
  message.normalizePath = rules.normalizePath;
  message.mergeSlashes = rules.mergeSlashes;
  if (rules.escapedSlashes !== 'keep') {
    message.pathWithEscapedSlashesAction = encodeSlashes(rules.escapedSlashes);
  }
  const { universalPath } = rules;
  if (universalPath !== undefined)
    message.typedHeaderValidationConfig = encodeHeaderValidation(universalPath);
}

/** Writes what is done to requests into the connection manager. */
export function encodeProcessing(
  { processing, paths }: Pick<HttpConnectionManager, 'processing' | 'paths'>,
  message: hcm.HttpConnectionManager,
): void {
  if (paths !== undefined) encodePathRules(paths, message);
  if (processing === undefined) return;
  encodePathRules(processing, message);
  message.stripMatchingHostPort = processing.stripHostPort === 'matching';
  if (processing.stripHostPort === 'any') message.stripPortMode = { case: 'stripAnyHostPort', value: true };
  message.stripTrailingHostDot = processing.stripTrailingHostDot;
  message.useRemoteAddress = processing.useRemoteAddress;
  message.xffNumTrustedHops = processing.xffNumTrustedHops;
  message.skipXffAppend = processing.skipXffAppend;
  message.internalAddressConfig = create(hcm.HttpConnectionManager_InternalAddressConfigSchema, {
    unixSockets: processing.internalUnixSockets,
    cidrRanges: processing.internalAddresses.map(({ address, prefixLength }) => ({
      addressPrefix: address,
      prefixLen: prefixLength,
    })),
  });
  message.via = processing.via;
  message.generateRequestId = processing.generateRequestId;
  message.preserveExternalRequestId = processing.preserveExternalRequestId;
  message.alwaysSetRequestIdInResponse = processing.requestIdInResponse;
  if (processing.scheme !== undefined) {
    message.schemeHeaderTransformation = create(core.SchemeHeaderTransformationSchema, {
      transformation: { case: 'schemeToOverwrite', value: processing.scheme },
    });
  }
  message.appendXForwardedPort = processing.appendForwardedPort;
  if (processing.server !== undefined) {
    const { OVERWRITE, APPEND_IF_ABSENT } = hcm.HttpConnectionManager_ServerHeaderTransformation;
    message.serverName = processing.server.name;
    message.serverHeaderTransformation = processing.server.overwrite ? OVERWRITE : APPEND_IF_ABSENT;
  }
  message.addUserAgent = processing.addUserAgent;
}
