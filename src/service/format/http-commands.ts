import type { ExchangeTiming } from '../context.js';
import type { HeaderMap } from '../headers.js';
import type { RequestHead } from '../service.js';
import { invalidFormat } from './format-error.js';
import { formatGrpcStatus, type GrpcStatusForm, grpcStatusOfExchange, isGrpcInput } from './grpc-status.js';
import { type CommandType, type FormatGetter, type FormatInput, plain } from './input.js';

type HeaderReader = (input: FormatInput, name: string) => string | undefined;

/** `NAME` or `NAME?ALTERNATIVE`. */
function headerNames(argument: string, format: string): readonly string[] {
  if (/[\r\n\0]/.test(argument)) invalidFormat(format, 'names a header with a control character');
  const names = argument.split('?');
  if (names.length > 2) invalidFormat(format, 'has more than one alternative header');
  return names.map((name) => name.toLowerCase()).filter((name, index) => index === 0 || name !== '');
}

function headerCommand(read: HeaderReader): CommandType {
  return {
    argument: 'required',
    length: true,
    make: (argument, _tools, format): FormatGetter => {
      const [main = '', alternative] = headerNames(argument, format);
      if (alternative === undefined) return (input) => read(input, main);
      return (input) => read(input, main) ?? read(input, alternative);
    },
  };
}

/** A request header or pseudo-header by its lower-case name. */
export function requestHeader(request: RequestHead | undefined, name: string): string | undefined {
  if (request === undefined) return undefined;
  switch (name) {
    case ':method':
      return request.method;
    case ':path':
      return request.path === '' ? undefined : request.path;
    case ':authority':
    case 'host':
      return request.authority === '' ? undefined : request.authority;
    case ':scheme':
      return request.scheme;
    default:
      return request.headers.get(name);
  }
}

function responseHeader({ response, exchange }: FormatInput, name: string): string | undefined {
  if (response === undefined) return undefined;
  const value = response.headers.get(name);
  if (value !== undefined) return value;
  if (name === 'x-envoy-upstream-service-time') return upstreamTime(exchange.timing);
  return name !== ':status' || response.status === 0 ? undefined : String(response.status);
}

/** The caller is in this process, so its response carries no such header; logs show the time all the same. */
function upstreamTime(timing: ExchangeTiming | undefined): string | undefined {
  const { requestEndMs, attemptStartMs, responseStartMs } = timing ?? {};
  if (attemptStartMs === undefined || responseStartMs === undefined) return undefined;
  return String(Math.max(0, Math.floor(responseStartMs - Math.max(attemptStartMs, requestEndMs ?? 0))));
}

const REQUEST = headerCommand(({ request }, name) => requestHeader(request, name));
const RESPONSE = headerCommand(responseHeader);
const TRAILER = headerCommand(({ trailers }, name) => trailers?.get(name));
const WITHOUT_QUERY = headerCommand(({ request }, name) => {
  const value = requestHeader(request, name);
  return value?.split('?', 1)[0];
});

function headerBytes(headers: HeaderMap | undefined): number {
  let bytes = 0;
  for (const [name, value] of headers ?? []) bytes += name.length + value.length;
  return bytes;
}

const GRPC_FORMS: readonly string[] = ['', 'CAMEL_STRING', 'SNAKE_STRING', 'NUMBER'];

function grpcStatus(form: GrpcStatusForm): FormatGetter {
  return (input) => {
    if (!isGrpcInput(input)) return undefined;
    const status = grpcStatusOfExchange(input);
    return status === undefined ? undefined : formatGrpcStatus(status, form);
  };
}

const GRPC_STATUS: CommandType = {
  argument: 'optional',
  length: false,
  make: (argument, _tools, format) => {
    if (!GRPC_FORMS.includes(argument)) {
      invalidFormat(
        format,
        'asks for a form of GRPC_STATUS other than CAMEL_STRING, SNAKE_STRING and NUMBER',
      );
    }
    // The text was just compared with the three forms; empty is the default.
    return grpcStatus((argument || 'CAMEL_STRING') as GrpcStatusForm);
  },
};

const queryOf = (path: string | undefined): string | undefined => {
  const mark = path?.indexOf('?') ?? -1;
  if (path === undefined || mark < 0) return undefined;
  const end = path.indexOf('#', mark);
  return path.slice(mark + 1, end < 0 ? undefined : end);
};

/** Percent-decoding that leaves alone what is no valid escape. */
function decode(text: string): string {
  if (!text.includes('%')) return text;
  const bytes = text.replaceAll(/%([0-9a-fA-F]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return bytes;
}

/** The first value of a query parameter, percent-decoded as its name is; undefined when it is not there. */
export function queryParameter(path: string | undefined, name: string): string | undefined {
  for (const pair of queryOf(path)?.split('&') ?? []) {
    const equals = pair.indexOf('=');
    if (decode(equals < 0 ? pair : pair.slice(0, equals)) === name) {
      return equals < 0 ? '' : decode(pair.slice(equals + 1));
    }
  }
  return undefined;
}

const QUERY_PARAM: CommandType = {
  argument: 'required',
  length: true,
  make: (name) => (input) => queryParameter(input.request?.path, name),
};

const QUERY_PARAMS: CommandType = {
  argument: 'optional',
  length: true,
  make: (argument, _tools, format) => {
    if (argument === '' || argument === 'ORIG') return ({ request }) => queryOf(request?.path);
    if (argument !== 'DECODED')
      return invalidFormat(format, 'has a QUERY_PARAMS other than ORIG and DECODED');
    return ({ request }) => {
      const query = queryOf(request?.path);
      return query === undefined ? undefined : decode(query);
    };
  },
};

const ORIGINAL_PATH = 'x-envoy-original-path';

const PATH: CommandType = {
  argument: 'optional',
  length: true,
  make: (argument, _tools, format) => {
    const [query = '', source = '', ...rest] = argument.split(':');
    if (!['', 'WQ', 'NQ'].includes(query)) invalidFormat(format, 'has a PATH that is neither WQ nor NQ');
    if (rest.length > 0 || !['', 'ORIG', 'PATH', 'ORIG_OR_PATH'].includes(source)) {
      invalidFormat(format, 'has a PATH of something other than ORIG, PATH and ORIG_OR_PATH');
    }
    const read: FormatGetter = ({ request }) => {
      if (request === undefined) return undefined;
      const own = source === 'ORIG' ? undefined : request.path || undefined;
      return source === 'PATH' ? own : (request.headers.get(ORIGINAL_PATH) ?? own);
    };
    if (query !== 'NQ') return read;
    return (input) => {
      const path = read(input);
      return typeof path === 'string' ? path.split('?', 1)[0] : undefined;
    };
  },
};

/** The ids of the W3C trace context that the request carries. */
function traceParent({ request }: FormatInput, index: number): string | undefined {
  return request?.headers.get('traceparent')?.split('-')[index];
}

/** Commands about the request, the response and their headers. */
export const HTTP_COMMANDS: Readonly<Record<string, CommandType>> = {
  REQ: REQUEST,
  REQUEST_HEADER: REQUEST,
  RESP: RESPONSE,
  RESPONSE_HEADER: RESPONSE,
  TRAILER,
  RESPONSE_TRAILER: TRAILER,
  REQ_WITHOUT_QUERY: WITHOUT_QUERY,
  REQUEST_HEADERS_BYTES: plain(({ request }) => headerBytes(request?.headers)),
  RESPONSE_HEADERS_BYTES: plain(({ response }) => headerBytes(response?.headers)),
  RESPONSE_TRAILERS_BYTES: plain(({ trailers }) => headerBytes(trailers)),
  LOCAL_REPLY_BODY: plain(({ localReplyBody }) => localReplyBody),
  GRPC_STATUS,
  GRPC_STATUS_NUMBER: plain(grpcStatus('NUMBER')),
  QUERY_PARAM,
  QUERY_PARAMS,
  PATH,
  TRACE_ID: plain((input) => traceParent(input, 1)),
  SPAN_ID: plain((input) => traceParent(input, 2)),
  STREAM_ID: plain(({ request }) => request?.headers.get('x-request-id')),
  ACCESS_LOG_TYPE: plain(({ logType }) => logType ?? 'NotSet'),
};
