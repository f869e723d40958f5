import { Abort } from '../../runtime/abort.js';
import { MeshError } from '../../runtime/errors.js';
import { EMPTY_BODY } from '../../service/body.js';
import { createExchange } from '../../service/context.js';
import { HeaderMap } from '../../service/headers.js';
import type { Request } from '../../service/service.js';

/** A request that one asks about. */
export interface ExplainedRequest {
  readonly method: string;
  /** `http://host:port/path`; without a scheme it is `http`. `grpc://host/package.Service/Method` is a call of that method. */
  readonly url: string;
  readonly headers?: readonly (readonly [string, string])[] | undefined;
  /** The draw in [0, 1) by which weighted clusters and fractions are chosen. By default the heaviest cluster is taken. */
  readonly draw?: number | undefined;
}

/** What every call of gRPC has. */
const CALL_HEADERS = [
  ['content-type', 'application/grpc'],
  ['te', 'trailers'],
] as const;

/** @throws MeshError `INMESH_OPTION_INVALID` for what is no URL. */
export function requestOf({ method, url, headers = [], draw = 0 }: ExplainedRequest): Request {
  const [, scheme = 'http', authority = '', rest = ''] =
    /^(?:(https?|grpcs?):\/\/|(?![a-z][a-z0-9+.-]*:\/\/))([^/?#\s]+)((?:[/?][^#]*)?)(?:#.*)?$/i.exec(
      url.trim(),
    ) ?? [];
  if (authority === '' || !/^[A-Z]+$/i.test(method)) {
    throw new MeshError('INMESH_OPTION_INVALID', `${method} ${JSON.stringify(url)} is no request`, {
      hint: 'Write it as GET http://reviews/ratings/42',
    });
  }
  const isCall = scheme.toLowerCase().startsWith('grpc');
  if (isCall && !/^\/[^/?]+\/[^/?]+$/.test(rest)) {
    throw new MeshError('INMESH_OPTION_INVALID', `${JSON.stringify(url)} names no method of gRPC`, {
      hint: 'Write it as grpc://cart:9000/shop.Cart/Add',
    });
  }
  const path = rest.startsWith('/') ? rest : `/${rest}`;
  const given = headers.map(([name, value]) => [name.toLowerCase(), value] as const);
  const missing = CALL_HEADERS.filter(([name]) => isCall && !given.some(([own]) => own === name));
  const all = [...missing, ...given];
  // Callers name the host in a header, too.
  const host = all.find(([name]) => name === 'host' || name === ':authority')?.[1];
  return {
    method: isCall ? 'POST' : method.toUpperCase(),
    scheme: scheme.toLowerCase().replace(/^grpc/, 'http'),
    authority: host ?? authority.toLowerCase(),
    path,
    headers: HeaderMap.from(all.filter(([name]) => name !== 'host' && !name.startsWith(':'))),
    body: EMPTY_BODY,
    abort: new Abort(),
    context: createExchange('outbound', 0, draw),
  };
}
