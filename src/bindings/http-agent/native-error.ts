import { codeOf } from '../../runtime/errors.js';
import type { Request } from '../../service/service.js';
import { nativeError } from '../undici/native-error.js';

/**
 * The error of a request as users of node:http know it: what net and the parser of Node would have said, with the mesh's
 * account of it as the `cause`. The transport below speaks of some of these with codes of its own.
 */
export function httpError(cause: unknown, request: Request): Error {
  const error = nativeError(cause, request);
  const code = codeOf(error) ?? '';
  switch (code) {
    case 'UND_ERR_CONNECT_TIMEOUT':
      return connectTimeout(error, request.context.upstreamHost);
    case 'UND_ERR_SOCKET':
    case 'UND_ERR_CLOSED':
    case 'UND_ERR_DESTROYED':
      return like('socket hang up', { code: 'ECONNRESET' }, error);
    case 'UND_ERR_HEADERS_OVERFLOW':
      return like('Parse Error: Header overflow', { code: 'HPE_HEADER_OVERFLOW' }, error);
    default:
      return code.startsWith('HPE_') && !error.message.startsWith('Parse Error')
        ? like(`Parse Error: ${error.message}`, { code }, error)
        : error;
  }
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
