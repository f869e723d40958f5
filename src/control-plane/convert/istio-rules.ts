import type { Grants } from '../gateway-api/grants.js';
import { inOrder, rulesOfRoute } from '../gateway-api/http-rules.js';
import type { ApiRoute } from '../gateway-api/parents.js';
import type { ApiBackendTarget, ApiRuleExtras, HttpHeaders, HttpMatch, HttpRoute } from '../kinds/types.js';
import { type Converting, durationText, given } from './conversion.js';

type Written = Record<string, unknown>;

/** The rules of a route as those of a VirtualService, in the order in which they are tried. */
export function istioHttpRules(
  route: ApiRoute,
  port: number | undefined,
  grants: Grants,
  converting: Converting,
): readonly Written[] {
  return inOrder(rulesOfRoute(route, grants)).flatMap((rule) => {
    const api = rule.gatewayApi;
    if (api === undefined) return [];
    const lose = (what: string) => converting.lose(route, what);
    if (api.session !== undefined)
      lose('sessions are kept by loadBalancer.consistentHash of a DestinationRule in Istio');
    return segmentMatches(rule.match?.[0]).map(({ match, slash }) =>
      given({
        name: rule.name,
        match: [given({ ...match, ...(port !== undefined && { port }) })],
        ...targetsOf(rule, api, { slash, lose }),
        timeout: durationText(rule.timeout),
        retries: retriesOf(rule, api),
        headers: rule.headers && headersOf(rule.headers),
        corsPolicy: rule.corsPolicy && { ...rule.corsPolicy, maxAge: durationText(rule.corsPolicy.maxAge) },
      }),
    );
  });
}

/** A prefix of whole segments is the path itself, or what begins with it and a slash. */
function segmentMatches(
  match: HttpMatch = {},
): readonly { readonly match: HttpMatch; readonly slash: string }[] {
  const prefix = match.uri?.prefix;
  if (prefix === undefined || prefix === '/') return [{ match, slash: '' }];
  return [
    { match: { ...match, uri: { exact: prefix } }, slash: '' },
    { match: { ...match, uri: { prefix: `${prefix}/` } }, slash: '/' },
  ];
}

interface Tools {
  /** What the replacement of a prefix ends in. */
  readonly slash: string;
  readonly lose: (what: string) => void;
}

function targetsOf(rule: HttpRoute, api: ApiRuleExtras, tools: Tools): Written {
  if (api.redirect !== undefined) return { redirect: redirectOf(api.redirect, tools.slash) };
  if (api.answer !== undefined) {
    const { statusCode: status, body } = api.answer;
    return { directResponse: given({ status, body: body && { string: body.string } }) };
  }
  const backends = api.backends.filter(({ weight }) => weight > 0);
  const [only] = backends;
  if (backends.length === 1 && only?.redirect !== undefined)
    return { redirect: redirectOf(only.redirect, tools.slash) };
  const good = backends.filter(({ target, isBroken }) => target !== undefined && !isBroken);
  if (good.length < backends.length)
    tools.lose('backends that are not good take a share of errors, which Istio cannot say');
  if (good.length === 0) return { directResponse: { status: api.failure } };
  if (good.some(({ redirect, rewrite, mirrors }) => redirect ?? rewrite ?? mirrors))
    tools.lose('filters of single backends other than those of headers');
  return given({
    route: good.map((one) => destinationOf(one, good.length > 1)),
    rewrite: rewriteOf(good.length === 1 ? (only?.rewrite ?? api.rewrite) : api.rewrite, tools.slash),
    mirrors: rule.mirrors,
  });
}

function destinationOf({ target, weight, headers }: ApiBackendTarget, isWeighted: boolean): Written {
  return given({
    destination: target && { host: target.host, port: { number: target.port } },
    weight: isWeighted ? weight : undefined,
    headers: headers && headersOf(headers),
  });
}

function redirectOf(
  { scheme, hostname, path, port, statusCode }: NonNullable<ApiRuleExtras['redirect']>,
  slash: string,
): Written {
  return given({
    scheme,
    authority: hostname,
    redirectCode: statusCode,
    port,
    derivePort: port === undefined && scheme === undefined ? 'FROM_REQUEST_PORT' : undefined,
    uri: path?.replaceFullPath,
    prefixRewrite:
      path?.replacePrefixMatch === undefined ? undefined : replaced(path.replacePrefixMatch, slash),
  });
}

function rewriteOf(rewrite: ApiRuleExtras['rewrite'], slash: string): Written | undefined {
  if (rewrite === undefined) return undefined;
  const { hostname, path } = rewrite;
  return given({
    authority: hostname,
    uri: path?.replacePrefixMatch === undefined ? undefined : replaced(path.replacePrefixMatch, slash),
    uriRegexRewrite:
      path?.replaceFullPath === undefined ? undefined : { match: '^.*$', rewrite: path.replaceFullPath },
  });
}

function replaced(value: string, slash: string): string {
  return `${value.replace(/\/+$/, '')}${slash}` || '/';
}

function retriesOf({ retries }: HttpRoute, { perTryTimeoutMs }: ApiRuleExtras): Written | undefined {
  if (retries === undefined && perTryTimeoutMs === undefined) return undefined;
  const { attempts = 2, retryOn, backoff } = retries ?? {};
  return given({
    attempts,
    retryOn,
    backoff: durationText(backoff),
    perTryTimeout: durationText(perTryTimeoutMs),
  });
}

function headersOf({ request, response }: HttpHeaders): Written {
  const plain = (operations: HttpHeaders['request']) =>
    operations &&
    given({
      set: map(operations.set),
      add: map(operations.add),
      remove: operations.remove && [...operations.remove],
    });
  return given({ request: plain(request), response: plain(response) });
}

function map(values: Readonly<Record<string, string>> | undefined): Record<string, string> | undefined {
  return values === undefined || Object.keys(values).length === 0 ? undefined : { ...values };
}
