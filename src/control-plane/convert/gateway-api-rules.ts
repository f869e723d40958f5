import type { Destination, HttpHeaders, HttpMatch, HttpRoute, StringMatch } from '../kinds/types.js';
import type { Document } from '../kinds/view.js';
import { type Converting, durationText, given } from './conversion.js';

type Written = Record<string, unknown>;

interface Tools {
  readonly backendOf: (destination: Destination) => Written;
  readonly lose: (what: string) => void;
}

/** The rules of a VirtualService as those of an HTTPRoute. */
export function gatewayApiRules(
  service: Document<'VirtualService'>,
  backendOf: Tools['backendOf'],
  converting: Converting,
): readonly Written[] {
  const http = service.spec.http ?? [];
  const tools = { backendOf, lose: (what: string) => converting.lose(service, what) };
  checkOrder(http, tools);
  return http.flatMap((rule) => ruleOf(rule, tools));
}

/** The first rule counts here, the most specific one there. */
function checkOrder(http: readonly HttpRoute[], { lose }: Tools): void {
  const weightOf = ({ uri, method, headers = {}, queryParams = {} }: HttpMatch) => {
    const path = uri?.exact === undefined ? (uri?.regex === undefined ? 0 : 1e6) : 2e6;
    const length = (uri?.exact ?? uri?.prefix ?? uri?.regex ?? '/').length;
    return (
      path +
      length * 1000 +
      (method === undefined ? 0 : 500) +
      Object.keys(headers).length * 10 +
      Object.keys(queryParams).length
    );
  };
  let least = Number.POSITIVE_INFINITY;
  for (const { match = [] } of http) {
    const weights = match.length === 0 ? [1000] : match.map(weightOf);
    if (Math.max(...weights) > least)
      lose(
        'the order of its rules: in the Gateway API the most specific match goes first, not the first one',
      );
    least = Math.min(least, ...weights);
  }
}

function ruleOf(rule: HttpRoute, tools: Tools): readonly Written[] {
  const { lose, backendOf } = tools;
  if (rule.delegate !== undefined) lose('delegates: join the rules of both documents');
  if (rule.fault !== undefined) lose('faults');
  if (rule.delegate !== undefined) return [];
  const answer = rule.directResponse && answerOf(rule.directResponse, lose);
  if (rule.directResponse !== undefined && answer === undefined) return [];
  const matches = (rule.match ?? []).map((match) => matchOf(match, tools));
  const isReplaced = rule.rewrite?.uri !== undefined || rule.redirect?.prefixRewrite !== undefined;
  const filters = [...filtersOf(rule, tools), ...(answer === undefined ? [] : [answer])];
  const destinations = rule.route ?? [];
  const backendRefs = destinations.map(({ destination, weight, headers }) =>
    given({
      ...backendOf(destination),
      weight: destinations.length > 1 ? (weight ?? 0) : undefined,
      filters: headerFilters(headers, lose),
    }),
  );
  const make = (some: readonly Written[]) =>
    given({
      name: rule.name && nameOf(rule.name),
      matches: some,
      filters,
      backendRefs: rule.redirect === undefined ? backendRefs : [],
      timeouts:
        rule.timeout === undefined && rule.retries?.perTryTimeout === undefined
          ? undefined
          : timeoutsOf(rule),
      retry: retryOf(rule, lose),
    });
  // What replaces a prefix is for one match.
  if (!isReplaced || matches.length < 2) return [make(matches.length === 0 && isReplaced ? [ANY] : matches)];
  return matches.map((match) => make([match]));
}

const ANY = { path: { type: 'PathPrefix', value: '/' } };

function nameOf(name: string): string {
  return name
    .toLowerCase()
    .replaceAll(/[^a-z0-9.-]/g, '-')
    .replaceAll(/^[^a-z0-9]+|[^a-z0-9]+$/g, '');
}

function timeoutsOf({ timeout, retries }: HttpRoute): Written {
  return given({ request: durationText(timeout), backendRequest: durationText(retries?.perTryTimeout) });
}

function retryOf({ retries }: HttpRoute, lose: Tools['lose']): Written | undefined {
  if (retries === undefined) return undefined;
  const conditions = (retries.retryOn ?? '')
    .split(',')
    .map((one) => one.trim())
    .filter((one) => one !== '');
  const codes = conditions.filter((one) => /^[45]\d\d$/.test(one)).map(Number);
  if (conditions.includes('5xx')) codes.push(500, 502, 503, 504);
  if (conditions.includes('gateway-error')) codes.push(502, 503, 504);
  const others = conditions.filter(
    (one) =>
      !/^[45]\d\d$|^(?:5xx|gateway-error|connect-failure|refused-stream|reset|retriable-status-codes)$/.test(
        one,
      ),
  );
  if (others.length > 0) lose(`retries on ${others.join(', ')}`);
  if (retries.retryRemoteLocalities === true) lose('retryRemoteLocalities');
  return given({
    attempts: retries.attempts ?? 0,
    codes: [...new Set(codes)],
    backoff: durationText(retries.backoff),
  });
}

function matchOf(match: HttpMatch, { lose }: Tools): Written {
  for (const field of [
    'scheme',
    'authority',
    'port',
    'sourceLabels',
    'sourceNamespace',
    'gateways',
    'withoutHeaders',
  ] as const) {
    const value = match[field];
    if (value !== undefined && Object.keys(value).length !== 0) lose(`the condition ${field}`);
  }
  if (match.port !== undefined) lose('the condition port: name it in parentRefs');
  if (match.ignoreUriCase === true) lose('ignoreUriCase');
  const { method, uri } = match;
  if (method !== undefined && method.exact === undefined) lose('methods by prefix or pattern');
  return given({
    path: uri && pathOf(uri, lose),
    method: method?.exact,
    headers: valuesOf(match.headers),
    queryParams: valuesOf(match.queryParams),
  });
}

function pathOf({ exact, prefix, regex }: StringMatch, lose: Tools['lose']): Written | undefined {
  if (exact !== undefined) return { type: 'Exact', value: exact };
  if (regex !== undefined) return { type: 'RegularExpression', value: regex };
  if (prefix === undefined) return undefined;
  if (prefix !== '/' && !prefix.endsWith('/'))
    lose(`the prefix ${prefix} means whole segments in the Gateway API: ${prefix}x is no longer matched`);
  return { type: 'PathPrefix', value: prefix };
}

function valuesOf(values: HttpMatch['headers']): readonly Written[] {
  return Object.entries(values ?? {}).map(([name, { exact, prefix, regex }]) => {
    if (exact) return { name, value: exact };
    const pattern = prefix ? `${prefix.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&')}.*` : regex || '.*';
    return { type: 'RegularExpression', name, value: pattern };
  });
}

function filtersOf(rule: HttpRoute, { lose, backendOf }: Tools): readonly Written[] {
  const { rewrite, redirect, corsPolicy, mirror, mirrors = [], mirrorPercentage, mirrorPercent } = rule;
  const share = mirrorPercentage?.value ?? mirrorPercent;
  const all = [
    ...(mirror === undefined ? [] : [{ destination: mirror, percent: share }]),
    ...mirrors.map(({ destination, percentage }) => ({ destination, percent: percentage?.value })),
  ];
  return [
    ...headerFilters(rule.headers, lose),
    ...(redirect === undefined
      ? []
      : [{ type: 'RequestRedirect', requestRedirect: redirectOf(redirect, lose) }]),
    ...(rewrite === undefined ? [] : [{ type: 'URLRewrite', urlRewrite: rewriteOf(rewrite, lose) }]),
    ...all.map(({ destination, percent }) => ({
      type: 'RequestMirror',
      requestMirror: given({ backendRef: backendOf(destination), ...shareOf(percent) }),
    })),
    ...(corsPolicy === undefined ? [] : [{ type: 'CORS', cors: corsOf(corsPolicy, lose) }]),
  ];
}

/** Gateway API: characters that the body of a direct response has at most. */
const MAX_BODY = 4096;

/** The filter that answers; undefined where the Gateway API has none for it. */
function answerOf(
  { status, body }: NonNullable<HttpRoute['directResponse']>,
  lose: Tools['lose'],
): Written | undefined {
  const text = body?.bytes === undefined ? body?.string : Buffer.from(body.bytes, 'base64').toString('utf8');
  if (text !== undefined && text.length > MAX_BODY) {
    lose(`answers with a body of more than ${MAX_BODY} characters`);
    return undefined;
  }
  const directResponse = given({ statusCode: status, body: text ? { string: text } : undefined });
  return { type: 'DirectResponse', directResponse };
}

function shareOf(percent: number | undefined): Written {
  if (percent === undefined) return {};
  return Number.isInteger(percent)
    ? { percent }
    : { fraction: { numerator: Math.round(percent * 10_000), denominator: 1_000_000 } };
}

function redirectOf(redirect: NonNullable<HttpRoute['redirect']>, lose: Tools['lose']): Written {
  const { uri, prefixRewrite, authority, scheme, port, redirectCode = 301 } = redirect;
  const statusCode = redirectCode === 0 ? 301 : redirectCode;
  if (redirect.derivePort === 'FROM_PROTOCOL_DEFAULT' && scheme === undefined) lose('derivePort');
  return given({
    scheme,
    hostname: authority || undefined,
    port,
    statusCode,
    path: uri
      ? { type: 'ReplaceFullPath', replaceFullPath: uri }
      : prefixRewrite && { type: 'ReplacePrefixMatch', replacePrefixMatch: prefixRewrite },
  });
}

function rewriteOf(
  { uri, authority, uriRegexRewrite }: NonNullable<HttpRoute['rewrite']>,
  lose: Tools['lose'],
): Written {
  if (uriRegexRewrite !== undefined) lose('rewrites by pattern');
  return given({
    hostname: authority || undefined,
    path: uri ? { type: 'ReplacePrefixMatch', replacePrefixMatch: uri } : undefined,
  });
}

function corsOf(cors: NonNullable<HttpRoute['corsPolicy']>, lose: Tools['lose']): Written {
  const origins = (cors.allowOrigins ?? []).flatMap(({ exact, prefix, regex }) => {
    if (exact) return [exact];
    if (prefix === '*' || regex === '*' || regex === '.*') return ['*'];
    lose('origins by prefix or pattern');
    return [];
  });
  return given({
    allowOrigins: [...origins, ...(cors.allowOrigin ?? [])],
    allowMethods: cors.allowMethods,
    allowHeaders: cors.allowHeaders,
    exposeHeaders: cors.exposeHeaders,
    allowCredentials: cors.allowCredentials,
    maxAge: cors.maxAge === undefined ? undefined : Math.max(1, Math.round(cors.maxAge / 1000)),
  });
}

function headerFilters(headers: HttpHeaders | undefined, lose: Tools['lose']): readonly Written[] {
  const list = (values: Readonly<Record<string, string>> | undefined) =>
    Object.entries(values ?? {})
      .filter(([name]) => !name.startsWith(':'))
      .map(([name, value]) => ({ name, value }));
  const filter = (operations: HttpHeaders['request']) => {
    if (Object.keys({ ...operations?.set, ...operations?.add }).some((name) => name.startsWith(':')))
      lose('pseudo headers: a URLRewrite changes the host');
    return given({ set: list(operations?.set), add: list(operations?.add), remove: operations?.remove });
  };
  return [
    ...(headers?.request === undefined
      ? []
      : [{ type: 'RequestHeaderModifier', requestHeaderModifier: filter(headers.request) }]),
    ...(headers?.response === undefined
      ? []
      : [{ type: 'ResponseHeaderModifier', responseHeaderModifier: filter(headers.response) }]),
  ];
}
