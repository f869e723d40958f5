import { create } from '@bufbuild/protobuf';
import type { RedirectAction } from '../model/redirect.js';
import { route } from '../proto/xds.js';
import { onlyFields } from './field-guard.js';
import { at, type Path, refuse } from './path.js';
import { decodeRegexRewrite, encodeRegexRewrite } from './rewrite.js';

const redirectFields = onlyFields(() => route.RedirectActionSchema, {
  enforced: [
    'https_redirect',
    'scheme_redirect',
    'host_redirect',
    'port_redirect',
    'path_redirect',
    'prefix_rewrite',
    'regex_rewrite',
    'response_code',
    'strip_query',
  ],
});

const CODES = [301, 302, 303, 307, 308] as const;

/** The action that redirects the caller. */
export function decodeRedirect(action: route.RedirectAction, path: Path): RedirectAction {
  redirectFields(action, path);
  const { schemeRewriteSpecifier: scheme } = action;
  // The enum counts 301, 302, 303, 307, 308.
  const status = CODES[action.responseCode];
  if (action.portRedirect > 65_535) refuse(at(path, 'port_redirect'), 'must be at most 65535');
  return {
    kind: 'redirect',
    status: status ?? refuse(at(path, 'response_code'), `has no value ${String(action.responseCode)}`),
    scheme: scheme.case === 'schemeRedirect' ? clean(scheme.value, at(path, 'scheme_redirect')) : undefined,
    https: scheme.case === 'httpsRedirect' && scheme.value,
    host: clean(action.hostRedirect, at(path, 'host_redirect')),
    port: action.portRedirect,
    path: decodePath(action.pathRewriteSpecifier, path),
    stripQuery: action.stripQuery,
  };
}

function decodePath(
  specifier: route.RedirectAction['pathRewriteSpecifier'],
  path: Path,
): RedirectAction['path'] {
  switch (specifier.case) {
    case 'pathRedirect':
      return { kind: 'path', value: clean(specifier.value, at(path, 'path_redirect')) };
    case 'prefixRewrite':
      return { kind: 'prefix', value: clean(specifier.value, at(path, 'prefix_rewrite')) };
    case 'regexRewrite':
      return { kind: 'regex', rewrite: decodeRegexRewrite(specifier.value, at(path, 'regex_rewrite')) };
    default:
      return undefined;
  }
}

function clean(text: string, path: Path): string {
  return /[\0\r\n]/.test(text) ? refuse(path, 'contains a control character') : text;
}

/** The redirect as a message. */
export function encodeRedirect(action: RedirectAction): route.RedirectAction {
  return create(route.RedirectActionSchema, {
    schemeRewriteSpecifier:
      action.scheme === undefined
        ? action.https
          ? { case: 'httpsRedirect', value: true }
          : { case: undefined }
        : { case: 'schemeRedirect', value: action.scheme },
    hostRedirect: action.host,
    portRedirect: action.port,
    pathRewriteSpecifier: encodePath(action.path),
    responseCode: CODES.indexOf(action.status),
    stripQuery: action.stripQuery,
  });
}

function encodePath(path: RedirectAction['path']): route.RedirectAction['pathRewriteSpecifier'] {
  switch (path?.kind) {
    case 'path':
      return { case: 'pathRedirect', value: path.value };
    case 'prefix':
      return { case: 'prefixRewrite', value: path.value };
    case 'regex':
      return { case: 'regexRewrite', value: encodeRegexRewrite(path.rewrite) };
    default:
      return { case: undefined };
  }
}
