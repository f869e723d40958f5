import { create } from '@bufbuild/protobuf';
import type { HttpHealthChecker, StatusRange } from '../model/health-check.js';
import { core, type } from '../proto/xds.js';
import { onlyFields } from './field-guard.js';
import { decodeAddition, encodeAddition, modifiable } from './header-mutation.js';
import { decodePayload, decodePayloads, encodePayload } from './health-payload.js';
import { decodeStringMatcher, encodeStringMatcher } from './matcher.js';
import { at, type Path, refuse } from './path.js';

const DEFAULT_BUFFER_BYTES = 1024;
const OK: readonly StatusRange[] = [{ start: 200, end: 201 }];
/** Envoy: requests with these methods have no body. */
const BODILESS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'DELETE', 'TRACE']);

const httpFields = onlyFields(() => core.HealthCheck_HttpHealthCheckSchema, {
  enforced: [
    'host',
    'path',
    'send',
    'receive',
    'response_buffer_size',
    'request_headers_to_add',
    'request_headers_to_remove',
    'expected_statuses',
    'retriable_statuses',
    'codec_client_type',
    'service_name_matcher',
    'method',
  ],
});

/** A check by HTTP request. */
export function decodeHttpChecker(message: core.HealthCheck_HttpHealthCheck, path: Path): HttpHealthChecker {
  httpFields(message, path);
  if (message.path === '') refuse(at(path, 'path'), 'must not be empty');
  for (const field of ['host', 'path'] as const) {
    if (/[\0\r\n]/.test(message[field])) refuse(at(path, field), 'contains a control character');
  }
  const { HTTP1, HTTP2 } = type.CodecClientType;
  if (message.codecClientType !== HTTP1 && message.codecClientType !== HTTP2) {
    refuse(at(path, 'codec_client_type'), 'must be HTTP1 or HTTP2');
  }
  const method = decodeMethod(message.method, at(path, 'method'));
  const receive = decodePayloads(message.receive, path, 'receive');
  const expected = decodeRanges(message.expectedStatuses, path, 'expected_statuses');
  return {
    kind: 'http',
    host: message.host,
    path: message.path,
    method,
    send: decodeSend(message.send, method, at(path, 'send')),
    receive,
    responseBufferBytes: decodeBufferSize(
      message.responseBufferSize,
      receive,
      at(path, 'response_buffer_size'),
    ),
    headers: {
      add: message.requestHeadersToAdd.map((one, index) =>
        decodeAddition(one, at(path, 'request_headers_to_add', index), modifiable),
      ),
      remove: message.requestHeadersToRemove.map((name, index) =>
        modifiable(name, at(path, 'request_headers_to_remove', index)),
      ),
    },
    expectedStatuses: expected.length === 0 ? OK : expected,
    retriableStatuses: decodeRanges(message.retriableStatuses, path, 'retriable_statuses'),
    serviceName:
      message.serviceNameMatcher &&
      decodeStringMatcher(message.serviceNameMatcher, at(path, 'service_name_matcher')),
    http2: message.codecClientType === HTTP2 || undefined,
  };
}

function decodeMethod(method: core.RequestMethod, path: Path): string {
  const { METHOD_UNSPECIFIED, CONNECT } = core.RequestMethod;
  if (method === METHOD_UNSPECIFIED) return 'GET';
  if (method === CONNECT) refuse(path, 'must not be CONNECT');
  return core.RequestMethod[method] ?? refuse(path, `has no value ${String(method)}`);
}

function decodeSend(
  payload: core.HealthCheck_Payload | undefined,
  method: string,
  path: Path,
): string | undefined {
  if (payload === undefined) return undefined;
  if (BODILESS.has(method)) refuse(path, `a check with the method ${method} has no body`);
  return decodePayload(payload, path);
}

function decodeBufferSize(size: bigint | undefined, receive: readonly string[], path: Path): number {
  const bytes = size === undefined ? DEFAULT_BUFFER_BYTES : Number(size);
  const needed = receive.reduce((sum, hex) => sum + hex.length / 2, 0);
  if (bytes !== 0 && needed > bytes) refuse(path, 'is less than what the body must contain');
  return bytes;
}

/** Envoy: half-open ranges between 100 and 600. */
function decodeRanges(ranges: readonly type.Int64Range[], path: Path, field: string): readonly StatusRange[] {
  return ranges.map(({ start, end }, index) => {
    const where = at(path, field, index);
    if (start >= end) refuse(where, 'start must be less than end');
    if (start < 100n || end > 600n) refuse(where, 'must lie between 100 and 600');
    return { start: Number(start), end: Number(end) };
  });
}

/** A check by HTTP request as a message. */
export function encodeHttpChecker(model: HttpHealthChecker): core.HealthCheck_HttpHealthCheck {
  const message = create(core.HealthCheck_HttpHealthCheckSchema, {
    host: model.host,
    path: model.path,
    method: methodOf(model.method),
    receive: model.receive.map(encodePayload),
    responseBufferSize: BigInt(model.responseBufferBytes),
    requestHeadersToAdd: model.headers.add.map(encodeAddition),
    requestHeadersToRemove: [...model.headers.remove],
    expectedStatuses: model.expectedStatuses.map(encodeRange),
    retriableStatuses: model.retriableStatuses.map(encodeRange),
    codecClientType: model.http2 === true ? type.CodecClientType.HTTP2 : type.CodecClientType.HTTP1,
  });
  if (model.send !== undefined) message.send = encodePayload(model.send);
  if (model.serviceName !== undefined) message.serviceNameMatcher = encodeStringMatcher(model.serviceName);
  return message;
}

function methodOf(method: string): core.RequestMethod {
  const { GET, HEAD, POST, PUT, DELETE, OPTIONS, TRACE, PATCH } = core.RequestMethod;
  const methods: Readonly<Record<string, core.RequestMethod>> = {
    GET,
    HEAD,
    POST,
    PUT,
    DELETE,
    OPTIONS,
    TRACE,
    PATCH,
  };
  return methods[method] ?? GET;
}

function encodeRange({ start, end }: StatusRange): type.Int64Range {
  return create(type.Int64RangeSchema, { start: BigInt(start), end: BigInt(end) });
}
