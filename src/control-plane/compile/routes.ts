import { NO_OVERRIDES } from '../../model/filter-config.js';
import type { ClusterSpecifier, Route, VirtualHost } from '../../model/route.js';
import type { RouteMatch } from '../../model/route-match.js';
import { DEFAULT_DOMAIN, fullHostName } from '../kinds/hosts.js';
import type { Destination, HttpMatch, HttpRoute } from '../kinds/types.js';
import type { Document } from '../kinds/view.js';
import { clusterName } from '../mesh/names.js';
import { isForGateway, selects } from '../mesh/visibility.js';
import { compileApiRule } from './api-rules.js';
import { withCors } from './cors.js';
import { compileFault } from './fault.js';
import { compileHeaders, type HeaderOperations } from './header-operations.js';
import { compileRetry } from './retry-policy.js';
import { forward, hashPoliciesOf, type RouteContext, type Target } from './route-context.js';
import { compileMirrors, compileRedirectAction, compileRewrite } from './route-effects.js';
import { compileMatch, isCatchAll, MATCH_ALL } from './route-match.js';
import { addressesOf, urlHost } from './service-addresses.js';

/** The virtual host of a listener: by its VirtualService, else straight to the service. */
export function compileVirtualHost(
  virtualService: Document<'VirtualService'> | undefined,
  context: RouteContext,
): VirtualHost {
  const { host, port, profile, aliases = [], serviceOf } = context;
  return {
    name: `${host}:${port}`,
    domains: [
      ...[host, ...aliases].flatMap((one) => domainsOf(one, port, profile.namespace)),
      // Istio: requests that name an address of the service are for it, too.
      ...addressesOf(serviceOf(host))
        .hosts.map(urlHost)
        .flatMap((one) => [one, `${one}:${port}`]),
    ],
    routes:
      virtualService === undefined
        ? [defaultRoute(context)]
        : compileRoutes(virtualService.spec.http ?? [], virtualService.namespace, context),
    retryPolicy: undefined,
    filterOverrides: NO_OVERRIDES,
    includeRequestAttemptCount: true,
  };
}

/** Istio: names that need no namespace work in the service's own namespace only; each with and without port. */
function domainsOf(host: string, port: number, clientNamespace: string): readonly string[] {
  const names = [host];
  const suffix = `.svc.${DEFAULT_DOMAIN}`;
  if (host.endsWith(suffix) && !host.startsWith('*')) {
    const [name, namespace, ...rest] = host.slice(0, -suffix.length).split('.');
    if (name !== undefined && namespace !== undefined && rest.length === 0) {
      names.push(`${name}.${namespace}.svc`, `${name}.${namespace}`);
      if (namespace === clientNamespace) names.push(name);
    }
  }
  return names.flatMap((name) => [name, `${name}:${port}`]);
}

function defaultRoute(context: RouteContext): Route {
  const { host, port } = context;
  return {
    name: 'default',
    match: MATCH_ALL,
    action: {
      ...forward(context, 0),
      cluster: { kind: 'cluster', name: clusterName(port, '', host) },
      retryPolicy: context.defaultRetry,
      hashPolicies: hashPoliciesOf([{ host, port, subset: '' }], context),
    },
    filterOverrides: NO_OVERRIDES,
  };
}

/** The routes of the rules of one VirtualService. */
export function compileRoutes(
  http: readonly HttpRoute[],
  namespace: string,
  context: RouteContext,
): readonly Route[] {
  const routes: Route[] = [];
  for (const rule of http) {
    for (const { name, match, statPrefix } of matchesOf(rule, namespace, context)) {
      if (rule.gatewayApi !== undefined) {
        routes.push(...compileApiRule({ name, rule, api: rule.gatewayApi, match }, context));
        if (isCatchAll(match)) return routes;
        continue;
      }
      const action = actionOf(rule, namespace, context);
      const filterOverrides = withCors(compileFault(rule.fault), rule.corsPolicy);
      const own = { name, match, action, filterOverrides, headers: headersOf(rule).rules };
      routes.push(statPrefix ? { ...own, statPrefix } : own);
      // Nothing gets past it, so nothing after it can match.
      if (isCatchAll(match)) return routes;
    }
  }
  return routes;
}

/** One entry per alternative that can hold for this client; a rule without alternatives matches everything. */
function matchesOf(
  rule: HttpRoute,
  namespace: string,
  context: RouteContext,
): { readonly name: string; readonly match: RouteMatch; readonly statPrefix?: string | undefined }[] {
  const name = rule.name ?? '';
  if ((rule.match ?? []).length === 0) return [{ name, match: MATCH_ALL }];
  return (rule.match ?? [])
    .filter((match) => holdsFor(match, namespace, context))
    .map((match) => ({
      name: match.name ? [name, match.name].filter((part) => part !== '').join('.') : name,
      match: compileMatch(match, rule.gatewayApi !== undefined),
      statPrefix: match.statPrefix,
    }));
}

function holdsFor(match: HttpMatch, namespace: string, { port, profile, gateway }: RouteContext): boolean {
  const { sourceNamespace, sourceLabels } = match;
  return (
    (match.port === undefined || match.port === port) &&
    isForGateway(match, namespace, gateway) &&
    (!sourceNamespace || sourceNamespace === profile.namespace) &&
    selects(sourceLabels, profile.labels)
  );
}

/** Istio: the headers of a rule's only destination count as the rule's own. */
function headersOf({ headers, route = [] }: HttpRoute): HeaderOperations {
  return compileHeaders(headers, ...(route.length === 1 ? [route[0]?.headers] : []));
}

function actionOf(rule: HttpRoute, namespace: string, context: RouteContext): Route['action'] {
  if (rule.redirect !== undefined) return compileRedirectAction(rule.redirect, context.port);
  if (rule.directResponse !== undefined) {
    const { status, body } = rule.directResponse;
    const text =
      body?.bytes === undefined ? body?.string : Buffer.from(body.bytes, 'base64').toString('utf8');
    return { kind: 'direct-response', status, body: text ?? '' };
  }
  return {
    ...forward(context, rule.timeout ?? 0),
    cluster: specifierOf(rule, namespace, context),
    retryPolicy: rule.retries === undefined ? context.defaultRetry : compileRetry(rule.retries),
    hashPolicies: hashPoliciesOf(
      (rule.route ?? []).map(({ destination }) => targetOf(destination, namespace, context)),
      context,
    ),
    ...compileRewrite(rule.rewrite, headersOf(rule).authority),
    mirrors: compileMirrors(rule, (destination) => destinationCluster(destination, namespace, context)),
  };
}

function specifierOf(rule: HttpRoute, namespace: string, context: RouteContext): ClusterSpecifier {
  const destinations = rule.route ?? [];
  const [only] = destinations;
  if (only !== undefined && destinations.length === 1) {
    return { kind: 'cluster', name: destinationCluster(only.destination, namespace, context) };
  }
  const clusters = destinations
    .filter(({ weight = 0 }) => weight > 0)
    .map(({ destination, weight = 0, headers }) => {
      const { rules, authority } = compileHeaders(headers);
      return {
        name: destinationCluster(destination, namespace, context),
        weight,
        filterOverrides: NO_OVERRIDES,
        headers: rules,
        hostRewrite: authority,
      };
    });
  return { kind: 'weighted', clusters, totalWeight: clusters.reduce((sum, { weight }) => sum + weight, 0) };
}

function destinationCluster(destination: Destination, namespace: string, context: RouteContext): string {
  const { host, port, subset } = targetOf(destination, namespace, context);
  return clusterName(port, subset, host);
}

/** Istio (GetDestinationCluster): the port named, else the service's only port, else the port that was called. */
export function targetOf(
  destination: Destination,
  namespace: string,
  context: Pick<RouteContext, 'serviceOf' | 'port'>,
): Target {
  const host = fullHostName(destination.host, namespace);
  const ports = context.serviceOf(host)?.ports ?? [];
  const only = ports.length === 1 ? ports[0]?.number : undefined;
  return { host, port: destination.port?.number ?? only ?? context.port, subset: destination.subset ?? '' };
}
