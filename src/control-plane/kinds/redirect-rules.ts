import { checkRegex } from './common-rules.js';
import type { Report } from './report.js';
import type { HttpRoute } from './types.js';
import type { FieldPath } from './view.js';

const MAX_BODY_BYTES = 1024 * 1024;
const LARGE_BODY_BYTES = 100 * 1024;

/** Istio HTTPRedirect. */
export function checkRedirect(
  redirect: NonNullable<HttpRoute['redirect']>,
  path: FieldPath,
  report: Report,
): void {
  const { uri, prefixRewrite, authority, port, derivePort, scheme, redirectCode = 301 } = redirect;
  if (!uri && !prefixRewrite && !authority && !scheme && port === undefined && derivePort === undefined) {
    report.invalid(path, 'a redirect needs uri, prefixRewrite, authority, scheme or port');
  }
  if (uri && prefixRewrite) report.invalid([...path, 'prefixRewrite'], 'give either uri or prefixRewrite');
  if (port !== undefined && derivePort !== undefined) {
    report.invalid([...path, 'derivePort'], 'give either port or derivePort');
  }
  if (scheme && scheme !== 'http' && scheme !== 'https') {
    report.invalid([...path, 'scheme'], `the scheme must be http or https, not ${JSON.stringify(scheme)}`);
  }
  if (redirectCode !== 0 && (redirectCode < 300 || redirectCode > 399)) {
    report.invalid([...path, 'redirectCode'], `redirectCode must be from 300 to 399, not ${redirectCode}`);
  }
}

/** Istio HTTPDirectResponse. */
export function checkDirectResponse(
  response: NonNullable<HttpRoute['directResponse']>,
  path: FieldPath,
  report: Report,
): void {
  const { status, body } = response;
  if (status < 200 || status > 600) {
    report.invalid([...path, 'status'], `status must be from 200 to 599, not ${status}`);
  }
  if (body?.string !== undefined && body.bytes !== undefined) {
    report.invalid([...path, 'body'], 'a body has either string or bytes');
  }
  const bytes = Buffer.byteLength(body?.string ?? '') + Buffer.byteLength(body?.bytes ?? '', 'base64');
  if (bytes > MAX_BODY_BYTES) report.invalid([...path, 'body'], `a body has at most ${MAX_BODY_BYTES} bytes`);
  else if (bytes > LARGE_BODY_BYTES) {
    report.warn([...path, 'body'], 'a body of this size is sent to every client with each change of routes');
  }
}

/** Istio: validateAuthorityRewrite. The authority is given in one place. */
export function checkAuthority({ rewrite, headers }: HttpRoute, path: FieldPath, report: Report): void {
  const { set, add } = headers?.request ?? {};
  const names = [...Object.keys(set ?? {}), ...Object.keys(add ?? {})];
  const given = names.filter((name) => /^(?::authority|host)$/i.test(name));
  if (given.length + (rewrite?.authority ? 1 : 0) < 2) return;
  report.invalid(
    [...path, 'headers', 'request'],
    'the authority is changed in several places: give it in one',
  );
}

/** Istio HTTPRewrite. */
export function checkRewrite(route: HttpRoute, path: FieldPath, report: Report): void {
  const { uri, authority, uriRegexRewrite } = route.rewrite ?? {};
  if (!uri && !authority && uriRegexRewrite === undefined) {
    report.invalid(path, 'a rewrite needs uri, authority or uriRegexRewrite');
  }
  if (uri && uriRegexRewrite !== undefined) {
    report.invalid([...path, 'uriRegexRewrite'], 'give either uri or uriRegexRewrite');
  }
  if (uriRegexRewrite === undefined) return;
  const at = [...path, 'uriRegexRewrite'];
  const { match = '', rewrite = '' } = uriRegexRewrite;
  if (match === '' || rewrite === '') report.invalid(at, 'uriRegexRewrite needs match and rewrite');
  else checkRegex(match, [...at, 'match'], report);
}
