import type { HttpFilter } from '../../model/filter-config.js';
import type { GlobalRateLimitConfig } from '../../model/global-rate-limit.js';
import type { LocalRateLimitConfig } from '../../model/local-rate-limit.js';
import type { HeaderMatcher } from '../../model/matcher.js';
import { ALWAYS } from '../../model/percent.js';
import type { RateLimit, RateLimitAction } from '../../model/rate-limit.js';
import { groupBy } from '../../runtime/group-by.js';
import { derived, lookup } from '../kinds/derived.js';
import { fullHostName } from '../kinds/hosts.js';
import type { QuotaSpec, RateLimitPolicySpec, StringMatch } from '../kinds/types.js';
import type { ConfigView, Document } from '../kinds/view.js';
import type { MeshConfig } from '../mesh/mesh-config.js';
import { clusterName } from '../mesh/names.js';
import { isExported, selects } from '../mesh/visibility.js';
import { headerMatcher, queryMatcher } from './route-match.js';

/** Envoy's default of `maxDynamicDescriptors` would forget callers at once. */
const MAX_CALLERS = 10_000;
const DEFAULT_STATUS = 429;
const NEVER = { numerator: 0, denominator: 100 } as const;
const RULE = 'rule';

type Limits = Document<'RateLimitPolicy'> | Document<'Quota'>;

/** Who serves requests, and where. */
export interface LimitedWorkload {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Undefined = a gateway, whose servers all have the limits without ports. */
  readonly port: number | undefined;
}

/** The limits of what a workload serves: those of the root namespace first, then its own, oldest first. */
export function servedLimits(
  view: ConfigView,
  { namespace, labels, port }: LimitedWorkload,
  { rootNamespace }: Pick<MeshConfig, 'rootNamespace'>,
): readonly HttpFilter[] {
  const own = limitsOf(view).filter(
    (one) =>
      one.spec.host === undefined &&
      (one.namespace === namespace || one.namespace === rootNamespace) &&
      selects(one.spec.selector?.matchLabels, labels) &&
      holdsForPort(one, port),
  );
  return inOrder(own, rootNamespace).map(filterOf);
}

/** The limits of what a client sends to a host. */
export function sentLimits(
  view: ConfigView,
  {
    clientNamespace,
    host,
    port,
  }: { readonly clientNamespace: string; readonly host: string; readonly port: number },
  { rootNamespace }: Pick<MeshConfig, 'rootNamespace'>,
): readonly HttpFilter[] {
  const own = limitsAt(view, host).filter(({ namespace, spec }) => {
    const exposure = { from: namespace, to: clientNamespace, byDefault: undefined };
    return isExported(spec.exportTo, exposure) && (spec.ports === undefined || spec.ports.includes(port));
  });
  return inOrder(own, rootNamespace).map(filterOf);
}

const NO_LIMITS: readonly Limits[] = [];

const limitsAt = lookup(
  derived((view) => {
    const sent = limitsOf(view).filter(({ spec }) => spec.host !== undefined);
    return groupBy(sent, ({ spec, namespace }) => fullHostName(spec.host ?? '', namespace));
  }),
  (byHost, host: string) => byHost.get(host) ?? NO_LIMITS,
);

function limitsOf(view: ConfigView): readonly Limits[] {
  return [...view.list('RateLimitPolicy'), ...view.list('Quota')];
}

function holdsForPort({ spec: { ports } }: Limits, port: number | undefined): boolean {
  return ports === undefined || (port !== undefined && ports.includes(port));
}

function inOrder(limits: readonly Limits[], rootNamespace: string): readonly Limits[] {
  const rank = ({ namespace }: Limits) => (namespace === rootNamespace ? 0 : 1);
  // What a process counts by itself costs less than a question to a service.
  const kind = (one: Limits) => (one.kind === 'RateLimitPolicy' ? 0 : 1);
  return [...limits].sort((a, b) => kind(a) - kind(b) || rank(a) - rank(b) || a.order - b.order);
}

function filterOf(document: Limits): HttpFilter {
  const name = `${document.namespace}.${document.name}`;
  return document.kind === 'RateLimitPolicy'
    ? { name: `inmesh.rate_limit_policy.${name}`, config: localLimit(document.spec, name) }
    : { name: `inmesh.quota.${name}`, config: globalLimit(document.spec, document.namespace, name) };
}

function localLimit({ rules, status, dryRun }: RateLimitPolicySpec, name: string): LocalRateLimitConfig {
  return {
    kind: 'local-rate-limit',
    statPrefix: name,
    status: status ?? DEFAULT_STATUS,
    bucket: undefined,
    enabled: ALWAYS,
    enforced: dryRun === true ? NEVER : ALWAYS,
    requestHeadersWhenNotEnforced: [],
    responseHeaders: [],
    descriptors: rules.map((rule, index) => ({
      entries: [
        { key: RULE, value: ruleName(rule, index) },
        ...matchKeys(rule.match).map((key) => ({ key, value: 'true' })),
        ...(rule.by ?? []).map((one) => ({ key: distinctionKey(one), value: '' })),
      ],
      bucket: {
        maxTokens: rule.limit.requests === 0 ? 0 : (rule.limit.burst ?? rule.limit.requests),
        tokensPerFill: Math.max(1, rule.limit.requests),
        fillIntervalMs: rule.limit.per,
      },
      shadow: false,
    })),
    maxDynamicDescriptors: MAX_CALLERS,
    stage: 0,
    rateLimits: rules.map((rule, index) => rateLimit(ruleActions(rule, ruleName(rule, index)))),
    virtualHostRateLimits: 'override',
    perConnection: false,
    rateLimitHeaders: true,
    alwaysConsumeDefault: false,
    resourceExhausted: true,
  };
}

type Rule = RateLimitPolicySpec['rules'][number];
type Match = NonNullable<Rule['match']>;
type Distinction = NonNullable<Rule['by']>[number];

function ruleName({ name }: Rule, index: number): string {
  return name ?? String(index);
}

function rateLimit(actions: readonly RateLimitAction[]): RateLimit {
  return {
    stage: 0,
    disableKey: '',
    actions,
    limit: undefined,
    hits: undefined,
    onStreamDone: false,
    rateLimitHeaders: undefined,
  };
}

function ruleActions({ match, by = [] }: Rule, name: string): readonly RateLimitAction[] {
  return [
    { kind: 'generic-key', key: RULE, value: name, defaultValue: '' },
    ...matchActions(match),
    ...by.map((one) => distinguish(one, distinctionKey(one))),
  ];
}

function distinctionKey({ header, queryParameter }: Distinction): string {
  if (header !== undefined) return `header:${header.toLowerCase()}`;
  return queryParameter === undefined ? 'remote_address' : `query:${queryParameter}`;
}

function distinguish({ header, queryParameter }: Distinction, key: string): RateLimitAction {
  if (header !== undefined) {
    return { kind: 'request-header', name: header.toLowerCase(), key, skipIfAbsent: false };
  }
  if (queryParameter !== undefined) {
    return { kind: 'query-parameter', name: queryParameter, key, skipIfAbsent: false };
  }
  // Envoy: it has a key of its own.
  return { kind: 'remote-address' };
}

/** The entries that a match adds to a descriptor, by key. */
function matchKeys(match: Match | undefined): readonly string[] {
  return matchActions(match).map((action) => ('key' in action ? action.key : ''));
}

function matchActions(match: Match = {}): readonly RateLimitAction[] {
  const headers = headerMatchers(match);
  const queryParameters = Object.entries(match.queryParams ?? {}).map(([name, value]) =>
    queryMatcher(name, value),
  );
  const value = { value: 'true', defaultValue: '', expectMatch: true };
  return [
    ...(headers.length === 0
      ? []
      : [{ kind: 'header-value-match', key: 'headers', headers, ...value } as const]),
    ...(queryParameters.length === 0
      ? []
      : [{ kind: 'query-parameter-value-match', key: 'query', queryParameters, ...value } as const]),
  ];
}

function headerMatchers({ uri, method, headers = {} }: Omit<Match, 'queryParams'>): readonly HeaderMatcher[] {
  return [
    ...(uri === undefined ? [] : [headerMatcher(':path', withQuery(uri), false)]),
    ...(method === undefined ? [] : [headerMatcher(':method', method, false)]),
    ...Object.entries(headers).map(([name, value]) => headerMatcher(name.toLowerCase(), value, false)),
  ];
}

/** The header of the path has the query, too, which a match of the path is not about. */
function withQuery(uri: StringMatch): StringMatch {
  const query = '(?:\\?.*)?';
  if (uri.exact !== undefined)
    return { regex: `${uri.exact.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')}${query}` };
  return uri.regex === undefined ? uri : { regex: `(?:${uri.regex})${query}` };
}

function globalLimit(spec: QuotaSpec, namespace: string, name: string): GlobalRateLimitConfig {
  const { service, domain, timeout, failOpen = true, status, dryRun, descriptors } = spec;
  const host = fullHostName(service.host, namespace);
  return {
    kind: 'global-rate-limit',
    domain,
    stage: 0,
    requests: 'both',
    timeoutMs: timeout ?? 20,
    failureModeDeny: !failOpen,
    failureModeDenyPercent: undefined,
    resourceExhausted: true,
    service: {
      cluster: clusterName(service.port, '', host),
      authority: host,
      timeoutMs: undefined,
      initialMetadata: [],
      maxReceiveBytes: undefined,
    },
    rateLimitHeaders: true,
    rateLimitedHeader: true,
    status: status ?? DEFAULT_STATUS,
    responseHeaders: [],
    statusOnError: 500,
    statPrefix: name,
    enabled: undefined,
    enforced: dryRun === true ? NEVER : undefined,
    rateLimits: descriptors.map((one) => rateLimit(quotaActions(one))),
  };
}

type Descriptor = QuotaSpec['descriptors'][number];

function quotaActions({ match, entries }: Descriptor): readonly RateLimitAction[] {
  const headers = headerMatchers(match ?? {});
  let isMatched = headers.length === 0;
  return entries.map((entry): RateLimitAction => {
    const { key, value } = entry;
    if (value === undefined) return distinguish(entry, key);
    if (isMatched) return { kind: 'generic-key', key, value, defaultValue: '' };
    isMatched = true;
    return { kind: 'header-value-match', key, value, defaultValue: '', expectMatch: true, headers };
  });
}
