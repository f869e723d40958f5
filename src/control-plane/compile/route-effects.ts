import type { MirrorPolicy } from '../../model/mirror.js';
import type { FractionalPercent } from '../../model/percent.js';
import { ALWAYS } from '../../model/percent.js';
import type { RedirectAction } from '../../model/redirect.js';
import type { RouteAction } from '../../model/route.js';
import type { Destination, HttpRoute } from '../kinds/types.js';

/** Istio HTTPRewrite; the host of the `headers` block counts when the rewrite names none. */
export function compileRewrite(
  rewrite: HttpRoute['rewrite'],
  authority: string | undefined,
): Pick<RouteAction, 'pathRewrite' | 'hostRewrite'> {
  const host = rewrite?.authority || authority;
  return {
    pathRewrite: pathRewriteOf(rewrite),
    hostRewrite: host === undefined || host === '' ? undefined : { kind: 'literal', value: host },
  };
}

function pathRewriteOf(rewrite: HttpRoute['rewrite']): RouteAction['pathRewrite'] {
  const { uri, uriRegexRewrite } = rewrite ?? {};
  if (uriRegexRewrite !== undefined) {
    const { match: pattern = '', rewrite: substitution = '' } = uriRegexRewrite;
    return { kind: 'regex', rewrite: { pattern, substitution } };
  }
  return uri ? { kind: 'prefix', value: uri } : undefined;
}

/** Istio HTTPRedirect; `port` is the port of the listener. */
export function compileRedirectAction(
  redirect: NonNullable<HttpRoute['redirect']>,
  port: number,
): RedirectAction {
  const { uri, prefixRewrite, authority = '', scheme, derivePort } = redirect;
  return {
    kind: 'redirect',
    status: statusOf(redirect.redirectCode),
    scheme: scheme || undefined,
    https: false,
    host: authority,
    port: redirect.port ?? (derivePort === 'FROM_REQUEST_PORT' ? port : 0),
    path: uri
      ? { kind: 'path', value: uri }
      : prefixRewrite
        ? { kind: 'prefix', value: prefixRewrite }
        : undefined,
    stripQuery: false,
  };
}

function statusOf(code = 301): RedirectAction['status'] {
  switch (code) {
    case 302:
    case 303:
    case 307:
    case 308:
      return code;
    default:
      // 0 stands for the default, and other codes are refused when the document is read.
      return 301;
  }
}

/** Istio: `mirror` with its percentage, then `mirrors`; a share of nothing is no mirror. Copies are not traced. */
export function compileMirrors(
  rule: HttpRoute,
  clusterOf: (destination: Destination) => string,
): readonly MirrorPolicy[] | undefined {
  const { mirror, mirrors = [], mirrorPercentage, mirrorPercent } = rule;
  const share = mirrorPercentage === undefined ? wholePercent(mirrorPercent) : millionths(mirrorPercentage);
  const all: readonly (readonly [Destination, FractionalPercent])[] = [
    ...(mirror === undefined ? [] : [[mirror, share] as const]),
    ...mirrors.map(
      ({ destination, percentage }) =>
        [destination, percentage === undefined ? ALWAYS : millionths(percentage)] as const,
    ),
  ];
  const policies = all
    .filter(([, { numerator }]) => numerator > 0)
    .map(
      ([destination, fraction]): MirrorPolicy => ({
        target: { kind: 'cluster', name: clusterOf(destination) },
        fraction,
        traceSampled: false,
        // Istio: DISABLE_SHADOW_HOST_SUFFIX is on by default.
        hostSuffix: false,
      }),
    );
  return policies.length === 0 ? undefined : policies;
}

function wholePercent(percent: number | undefined): FractionalPercent {
  return percent === undefined ? ALWAYS : { numerator: percent, denominator: 100 };
}

function millionths({ value = 0 }: { readonly value?: number | undefined }): FractionalPercent {
  return { numerator: Math.round(value * 10_000), denominator: 1_000_000 };
}
