import type { HttpUri } from '../model/http-uri.js';

/** The parts of a URL that a request to it needs. */
export interface UriParts {
  readonly scheme: string;
  readonly authority: string;
  /** With query; at least `/`. */
  readonly path: string;
}

/** Takes a URL apart; without scheme it is http, as in Envoy. */
export function splitUri({ uri }: HttpUri): UriParts {
  const [, scheme = 'http', rest = uri] = /^(https?):\/\/(.*)$/i.exec(uri) ?? [];
  const at = rest.search(/[/?#]/);
  if (at < 0) return { scheme: scheme.toLowerCase(), authority: rest, path: '/' };
  const path = rest.slice(at).replace(/#.*$/, '');
  return {
    scheme: scheme.toLowerCase(),
    authority: rest.slice(0, at),
    path: path.startsWith('/') ? path : `/${path}`,
  };
}
