import { codeOf, MeshError } from '../../runtime/errors.js';
import type { Request } from '../../service/service.js';
import { isParserError, type Stage } from '../account.js';
import { nativeError } from '../undici/native-error.js';

/**
 * The error of a request as users of node:http know it: what net and the parser of Node would have said, with the mesh's
 * account of it as the `cause`. The transport below speaks of some of these with codes of its own.
 */
export function httpError(cause: unknown, request: Request, stage: Stage = 'no-answer'): Error {
  const error = nativeError(cause, request, stage);
  const code = codeOf(error) ?? '';
  if (isParserError(error)) return parseError(error, code);
  // What HTTP/2 calls a stream is one connection to the caller.
  if (code.startsWith('ERR_HTTP2_')) return hangUp(error);
  // node:http writes its request into the handshake, and the failure comes as one of that write.
  if (code.startsWith('ERR_SSL_') && stage === 'no-answer') return handshakeFailed(error);
  switch (code) {
    case 'UND_ERR_CONNECT_TIMEOUT':
      return connectTimeout(error, request.context.upstreamHost);
    case 'UND_ERR_SOCKET':
    case 'UND_ERR_CLOSED':
    case 'UND_ERR_DESTROYED':
      return hangUp(error);
    case 'UND_ERR_HEADERS_OVERFLOW':
      return like('Parse Error: Header overflow', { code: 'HPE_HEADER_OVERFLOW' }, error);
    default:
      return error;
  }
}

/** An answer that breaks off: what node:http says when the server's connection closes in its middle. */
export function brokenOff(error: Error): Error {
  const cause = MeshError.is(error) ? error : (error.cause ?? error);
  return Object.assign(new Error('aborted', { cause }), { code: 'ECONNRESET' });
}

function handshakeFailed(error: Error): Error {
  const fields = { code: 'EPROTO', errno: -71, syscall: 'write' };
  return like(`write EPROTO ${error.message}`, fields, error);
}

function hangUp(error: Error): Error {
  return like('socket hang up', { code: 'ECONNRESET' }, error);
}

/** What llhttp calls its complaints; undici (7.30) hands on the text alone. */
const PARSER_CODES: ReadonlyMap<string, string> = new Map([
  ['Expected HTTP/, RTSP/ or ICE/', 'HPE_INVALID_CONSTANT'],
  ['Expected HTTP/', 'HPE_INVALID_CONSTANT'],
  ['Invalid character in chunk size', 'HPE_INVALID_CHUNK_SIZE'],
  ['Chunk size overflow', 'HPE_INVALID_CHUNK_SIZE'],
  ['Invalid character in chunk extensions', 'HPE_STRICT'],
  ['Invalid HTTP version', 'HPE_INVALID_VERSION'],
  ['Invalid status code', 'HPE_INVALID_STATUS'],
  ['Invalid response status', 'HPE_INVALID_STATUS'],
  ['Invalid header token', 'HPE_INVALID_HEADER_TOKEN'],
  ['Invalid header value char', 'HPE_INVALID_HEADER_TOKEN'],
  ['Invalid character in Content-Length', 'HPE_INVALID_CONTENT_LENGTH'],
  ['Content-Length overflow', 'HPE_INVALID_CONTENT_LENGTH'],
  ["Content-Length can't be present with Transfer-Encoding", 'HPE_INVALID_TRANSFER_ENCODING'],
  ["Transfer-Encoding can't be present with Content-Length", 'HPE_INVALID_TRANSFER_ENCODING'],
  ['Missing expected CR after header value', 'HPE_CR_EXPECTED'],
  ['Missing expected LF after header value', 'HPE_LF_EXPECTED'],
]);

function parseError(error: Error, code: string): Error {
  if (error.message.startsWith('Parse Error')) return error;
  const [, complaint = error.message] = /protocol \((.*)\)$/s.exec(error.message) ?? [];
  const own = code === '' ? (PARSER_CODES.get(complaint) ?? 'HPE_USER') : code;
  return like(`Parse Error: ${complaint}`, { code: own }, error);
}

function connectTimeout(error: Error, host = ''): Error {
  const colon = host.lastIndexOf(':');
  return like(
    `connect ETIMEDOUT ${host}`,
    {
      code: 'ETIMEDOUT',
      errno: -110,
      syscall: 'connect',
      address: host.slice(0, colon),
      port: Number(host.slice(colon + 1)),
    },
    error,
  );
}

function like(message: string, fields: object, { cause }: Error): Error {
  return Object.assign(new Error(message, { cause }), fields);
}
