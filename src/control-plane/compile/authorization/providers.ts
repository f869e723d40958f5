import type { AuthzBody, ExtAuthzConfig } from '../../../model/ext-authz.js';
import type { NamedFormat } from '../../../model/grpc-service.js';
import type { StringMatcher } from '../../../model/matcher.js';
import type { MetadataMatcher } from '../../../model/value-matcher.js';
import type { AuthzHttpProvider, AuthzProvider, ExtensionProvider } from '../../mesh/extension-provider.js';
import { clusterName } from '../../mesh/names.js';

/** Istio: the services of providers control their time themselves. */
const DEFAULT_TIMEOUT_MS = 600_000;
const DEFAULT_STATUS = 403;

/** Names of policies that ask a provider begin so. */
export const CUSTOM_PREFIX = 'istio-ext-authz';
/** What stands before the names of policies that ask a provider. */
export function customPrefix(provider: string): string {
  return provider === '' ? `${CUSTOM_PREFIX}-` : `${CUSTOM_PREFIX}-${provider}-`;
}

/** Before the names of what rules for providers leave. */
export const CUSTOM_STAT_PREFIX = 'istio_ext_authz_';

/** Finds the namespaces that have a service of a host; the host is full. */
export type ServiceLookup = (host: string) => readonly string[];

/** A provider made ready, or why it is not: such a one refuses what it would have been asked about. */
export type ReadyProvider =
  | { readonly kind: 'ready'; readonly config: ExtAuthzConfig }
  | { readonly kind: 'unusable'; readonly reason: string };

/** The filter that asks a provider (Istio: buildExtAuthzHTTP, buildExtAuthzGRPC). */
export function readyProvider(
  name: string,
  providers: readonly ExtensionProvider[],
  namespacesOf: ServiceLookup,
): ReadyProvider {
  const found = providers.find((one) => one.name === name);
  const provider = found?.envoyExtAuthzHttp ?? found?.envoyExtAuthzGrpc;
  if (provider === undefined) {
    const known = providers.map((one) => one.name).join(', ') || 'none';
    return {
      kind: 'unusable',
      reason: `there is no authorization provider ${JSON.stringify(name)}; known: ${known}`,
    };
  }
  const host = hostOf(provider, namespacesOf);
  if (host === undefined) {
    const reason = `the provider ${JSON.stringify(name)} names the service ${JSON.stringify(provider.service)}, which is not there or not the only one`;
    return { kind: 'unusable', reason };
  }
  const cluster = clusterName(provider.port, '', host);
  const service: ExtAuthzConfig['service'] =
    found?.envoyExtAuthzHttp === undefined
      ? grpcService(provider, cluster)
      : httpService(found.envoyExtAuthzHttp, cluster, host);
  const allowed = service.kind === 'http' ? checkedHeaders(found?.envoyExtAuthzHttp) : undefined;
  return { kind: 'ready', config: { ...common(provider, name), service, allowedHeaders: allowed } };
}

function hostOf({ service }: AuthzProvider, namespacesOf: ServiceLookup): string | undefined {
  const slash = service.indexOf('/');
  const host = service.slice(slash + 1).toLowerCase();
  const namespaces = namespacesOf(host);
  if (slash >= 0) return namespaces.includes(service.slice(0, slash)) ? host : undefined;
  return namespaces.length === 1 ? host : undefined;
}

function common(provider: AuthzProvider, name: string): Omit<ExtAuthzConfig, 'service' | 'allowedHeaders'> {
  return {
    kind: 'ext-authz',
    failureModeAllow: provider.failOpen ?? false,
    failureModeAllowHeaderAdd: false,
    ...(provider.clearRouteCache === true && { clearRouteCache: true }),
    body: bodyOf(provider),
    statusOnError: provider.statusOnError ? Number(provider.statusOnError) : DEFAULT_STATUS,
    validateMutations: false,
    metadataNamespaces: [],
    routeMetadataNamespaces: [],
    enabled: undefined,
    enabledMetadata: matchedPolicy('envoy.filters.http.rbac', name),
    denyAtDisable: false,
    includePeerCertificate: false,
    includeTlsSession: false,
    disallowedHeaders: [],
    encodeRawHeaders: false,
    mutationRules: undefined,
    ingestMetadata: true,
    statPrefix: '',
    chargeCluster: true,
  };
}

/** A rule for the provider matched: the filter of rules before it left its name. */
export function matchedPolicy(filter: string, provider: string): MetadataMatcher {
  const value = customPrefix(provider);
  return {
    namespace: filter,
    path: [`${CUSTOM_STAT_PREFIX}shadow_effective_policy_id`],
    value: { kind: 'string', matcher: { kind: 'prefix', value, ignoreCase: false } },
    invert: false,
  };
}

function bodyOf({ includeRequestBodyInCheck: body }: AuthzProvider): AuthzBody | undefined {
  if (body === undefined) return undefined;
  const { maxRequestBytes, allowPartialMessage = false, packAsBytes = false } = body;
  return { maxBytes: maxRequestBytes, allowPartial: allowPartialMessage, packAsBytes };
}

function httpService(provider: AuthzHttpProvider, cluster: string, host: string): ExtAuthzConfig['service'] {
  return {
    kind: 'http',
    uri: { uri: `http://${host}`, cluster, timeoutMs: provider.timeout ?? DEFAULT_TIMEOUT_MS },
    pathPrefix: provider.pathPrefix ?? '',
    headersToAdd: Object.entries(provider.includeAdditionalHeadersInCheck ?? {})
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, value]): NamedFormat => ({ name: name.toLowerCase(), value })),
    upstreamHeaders: namePatterns(provider.headersToUpstreamOnAllow) ?? [],
    upstreamHeadersToAppend: [],
    clientHeaders: namePatterns(provider.headersToDownstreamOnDeny) ?? [],
    clientHeadersOnSuccess: namePatterns(provider.headersToDownstreamOnAllow) ?? [],
    dynamicMetadataFromHeaders: [],
  };
}

/** Istio: the older list counts only without the newer one. */
function checkedHeaders(provider: AuthzHttpProvider | undefined): readonly StringMatcher[] | undefined {
  return (
    namePatterns(provider?.includeRequestHeadersInCheck) ?? namePatterns(provider?.includeHeadersInCheck)
  );
}

function namePatterns(names: readonly string[] | undefined): readonly StringMatcher[] | undefined {
  if (names === undefined || names.length === 0) return undefined;
  return names.map((name) => {
    if (name.startsWith('*')) return { kind: 'suffix', value: name.slice(1), ignoreCase: true };
    if (name.endsWith('*')) return { kind: 'prefix', value: name.slice(0, -1), ignoreCase: true };
    return { kind: 'exact', value: name, ignoreCase: true };
  });
}

function grpcService(provider: AuthzProvider, cluster: string): ExtAuthzConfig['service'] {
  return {
    kind: 'grpc',
    service: {
      cluster,
      // Istio: "|" may not stand in the name of a host.
      authority: cluster.replaceAll('|', '_.'),
      timeoutMs: provider.timeout ?? DEFAULT_TIMEOUT_MS,
      initialMetadata: [],
      maxReceiveBytes: undefined,
    },
  };
}
