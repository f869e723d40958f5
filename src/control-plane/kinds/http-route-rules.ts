import { STATUS_CODES } from 'node:http';
import { RETRY_CONDITIONS } from '../../model/retry.js';
import { checkCors } from './cors-rules.js';
import { checkFault } from './fault-rules.js';
import { checkHeaderOperations } from './header-rules.js';
import { checkHttpMatch } from './http-match-rules.js';
import { checkAuthority, checkDirectResponse, checkRedirect, checkRewrite } from './redirect-rules.js';
import { entriesOf, fieldsOf, type Report } from './report.js';
import { checkDestination, checkDestinations } from './route-destination-rules.js';
import type { HttpRetry, HttpRoute } from './types.js';
import type { FieldPath } from './view.js';

const ACTIONS = ['route', 'redirect', 'directResponse', 'delegate'] as const;

/** Istio HTTPRoute (Istio: validateHTTPRoute). */
export function checkHttpRoute(route: HttpRoute, path: FieldPath, isDelegate: boolean, report: Report): void {
  checkAction(route, path, report);
  if (isDelegate && route.delegate !== undefined) {
    report.invalid([...path, 'delegate'], 'a delegate cannot delegate again');
  }
  for (const [match, at] of entriesOf(route.match, [...path, 'match'])) checkHttpMatch(match, at, report);
  checkHeaderOperations(route.headers, [...path, 'headers'], report);
  checkAuthority(route, path, report);
  if (route.corsPolicy !== undefined) checkCors(route.corsPolicy, [...path, 'corsPolicy'], report);
  if (route.fault !== undefined) checkFault(route.fault, [...path, 'fault'], report);
  if (route.redirect !== undefined) checkRedirect(route.redirect, [...path, 'redirect'], report);
  if (route.directResponse !== undefined) {
    checkDirectResponse(route.directResponse, [...path, 'directResponse'], report);
  }
  if (route.rewrite !== undefined) checkRewrite(route, [...path, 'rewrite'], report);
  if (route.retries !== undefined) checkRetries(route.retries, [...path, 'retries'], report);
  checkMirrors(route, path, report);
}

/** A route does exactly one thing, and only what is forwarded can be rewritten or disturbed. */
function checkAction(route: HttpRoute, path: FieldPath, report: Report): void {
  const actions = ACTIONS.filter((action) =>
    action === 'route' ? (route.route ?? []).length > 0 : route[action] !== undefined,
  );
  const [action, other] = actions;
  if (action === undefined) {
    report.invalid(path, 'the HTTP route does nothing: give it route, redirect or directResponse');
  } else if (other !== undefined) {
    report.invalid([...path, other], `an HTTP route cannot have both ${action} and ${other}`);
  } else if (action === 'route') {
    checkDestinations(route.route, path, report);
  } else if (action === 'redirect' || action === 'directResponse') {
    for (const field of ['fault', 'rewrite'] as const) {
      if (route[field] !== undefined) {
        report.invalid([...path, field], `${field} has no meaning next to ${action}`);
      }
    }
  } else if (route.delegate?.name === undefined || route.delegate.name === '') {
    report.invalid([...path, 'delegate'], 'delegate must name a VirtualService');
  }
}

/** Istio: validateHTTPRetry. */
function checkRetries(retries: HttpRetry, path: FieldPath, report: Report): void {
  const { attempts = 0, retryOn } = retries;
  const others = fieldsOf(retries).filter((name) =>
    ['perTryTimeout', 'retryOn', 'retryRemoteLocalities'].includes(name),
  );
  if (attempts === 0 && others.length > 0) {
    report.invalid(path, `retries are off (attempts is 0), but ${others.join(', ')} is set`);
  }
  if (retryOn === undefined || retryOn === '') return;
  for (const token of retryOn.split(',')) {
    if (!isRetryCondition(token)) {
      report.invalid([...path, 'retryOn'], `${JSON.stringify(token)} is not a condition for retries`);
    }
  }
}

/** Istio: a condition of Envoy without spaces around it, or a status that has a name. */
function isRetryCondition(token: string): boolean {
  if (/^\d+$/.test(token)) return STATUS_CODES[token] !== undefined && token !== '509';
  return RETRY_CONDITIONS.some((condition) => condition === token);
}

function checkMirrors(route: HttpRoute, path: FieldPath, report: Report): void {
  if (route.mirror !== undefined) checkDestination(route.mirror, [...path, 'mirror'], report);
  for (const [mirror, at] of entriesOf(route.mirrors, [...path, 'mirrors'])) {
    checkDestination(mirror.destination, [...at, 'destination'], report);
  }
  if (route.mirror !== undefined && (route.mirrors ?? []).length > 0) {
    report.invalid([...path, 'mirrors'], 'an HTTP route cannot have both mirror and mirrors');
  }
  const { mirrorPercent } = route;
  if (mirrorPercent === undefined) return;
  if (mirrorPercent > 100) report.invalid([...path, 'mirrorPercent'], 'mirrorPercent must be at most 100');
  report.warn([...path, 'mirrorPercent'], 'mirrorPercent is deprecated: use mirrorPercentage');
}
