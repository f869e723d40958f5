import { isIP } from 'node:net';
import type {
  PolicyAccount,
  PolicyMatch,
  PolicyRange,
  PolicyRule,
  PolicyText,
  WorkloadPolicy,
} from './workload-policy.js';

type Texts = readonly string[] | undefined;

/** What is read of the source of an AuthorizationPolicy's rule. */
export interface AuthorizationSource {
  readonly principals?: Texts;
  readonly notPrincipals?: Texts;
  readonly requestPrincipals?: Texts;
  readonly notRequestPrincipals?: Texts;
  readonly namespaces?: Texts;
  readonly notNamespaces?: Texts;
  readonly serviceAccounts?: Texts;
  readonly notServiceAccounts?: Texts;
  readonly ipBlocks?: Texts;
  readonly notIpBlocks?: Texts;
  readonly remoteIpBlocks?: Texts;
  readonly notRemoteIpBlocks?: Texts;
}

/** What is read of the operation of an AuthorizationPolicy's rule. */
export interface AuthorizationOperation {
  readonly hosts?: Texts;
  readonly notHosts?: Texts;
  readonly ports?: Texts;
  readonly notPorts?: Texts;
  readonly methods?: Texts;
  readonly notMethods?: Texts;
  readonly paths?: Texts;
  readonly notPaths?: Texts;
}

interface Condition {
  readonly key: string;
  readonly values?: Texts;
  readonly notValues?: Texts;
}

interface Rule {
  readonly from?: readonly { readonly source?: AuthorizationSource | undefined }[] | undefined;
  readonly to?: readonly { readonly operation?: AuthorizationOperation | undefined }[] | undefined;
  readonly when?: readonly Condition[] | undefined;
}

/** An AuthorizationPolicy, as far as it is about connections. */
export interface AuthorizationDocument {
  readonly name: string;
  readonly namespace: string;
  readonly spec: {
    readonly selector?: object | undefined;
    readonly targetRef?: object | undefined;
    readonly targetRefs?: readonly object[] | undefined;
    readonly action?: string | undefined;
    readonly rules?: readonly Rule[] | undefined;
  };
}

/**
 * The part of an AuthorizationPolicy that can be decided when a connection comes, before any request. What asks for
 * more of a request makes a rule of ALLOW never hold, and of DENY count as said without it (Istio). Undefined for
 * policies that are not about workloads (targetRefs) or whose action is no decision of this kind (AUDIT, CUSTOM).
 */
export function policyOfAuthorization(
  { name, namespace, spec }: AuthorizationDocument,
  rootNamespace: string,
): WorkloadPolicy | undefined {
  const { selector, targetRef, targetRefs = [], action = 'ALLOW', rules = [] } = spec;
  if (targetRef !== undefined || targetRefs.length > 0) return undefined;
  if (action !== 'ALLOW' && action !== 'DENY') return undefined;
  const everywhere = namespace === rootNamespace ? 'GLOBAL' : 'NAMESPACE';
  const decided = rules.filter((rule) => action === 'DENY' || !isAboutRequests(rule));
  return {
    name,
    namespace,
    scope: selector === undefined ? everywhere : 'WORKLOAD_SELECTOR',
    action,
    groups: decided.map((rule) => ({ rules: rulesOf(rule, namespace) })),
  };
}

const REQUEST_FIELDS = [
  'hosts',
  'notHosts',
  'methods',
  'notMethods',
  'paths',
  'notPaths',
  'remoteIpBlocks',
  'notRemoteIpBlocks',
  'requestPrincipals',
  'notRequestPrincipals',
  // Not about requests, but nothing here knows them: as careful.
  'trustDomains',
  'notTrustDomains',
];

const CONNECTION_KEYS = [
  'source.ip',
  'source.namespace',
  'source.principal',
  'destination.ip',
  'destination.port',
];

function isAboutRequests({ from = [], to = [], when = [] }: Rule): boolean {
  const parts: readonly object[] = [
    ...from.map(({ source = {} }) => source),
    ...to.map(({ operation = {} }) => operation),
  ];
  const asks = (part: object) =>
    Object.entries(part).some(
      ([field, texts]) => REQUEST_FIELDS.includes(field) && Array.isArray(texts) && texts.length > 0,
    );
  return parts.some(asks) || when.some(({ key }) => !CONNECTION_KEYS.includes(key));
}

function rulesOf({ from = [], to = [], when = [] }: Rule, namespace: string): readonly PolicyRule[] {
  return [
    ...(to.length === 0 ? [] : [{ matches: to.map(({ operation = {} }) => matchOfOperation(operation)) }]),
    ...(from.length === 0
      ? []
      : [{ matches: from.map(({ source = {} }) => matchOfSource(source, namespace)) }]),
    ...when.map((condition) => ({ matches: [matchOfCondition(condition)] })),
  ];
}

function matchOfOperation({ ports, notPorts }: AuthorizationOperation): PolicyMatch {
  return filled({ destinationPorts: portsOf(ports), notDestinationPorts: portsOf(notPorts) });
}

function matchOfSource(source: AuthorizationSource, namespace: string): PolicyMatch {
  return filled({
    namespaces: textsOf(source.namespaces),
    notNamespaces: textsOf(source.notNamespaces),
    serviceAccounts: accountsOf(source.serviceAccounts, namespace),
    notServiceAccounts: accountsOf(source.notServiceAccounts, namespace),
    principals: textsOf(source.principals),
    notPrincipals: textsOf(source.notPrincipals),
    sourceIps: rangesOf(source.ipBlocks),
    notSourceIps: rangesOf(source.notIpBlocks),
  });
}

function matchOfCondition({ key, values, notValues }: Condition): PolicyMatch {
  switch (key) {
    case 'source.namespace':
      return filled({ namespaces: textsOf(values), notNamespaces: textsOf(notValues) });
    case 'source.principal':
      return filled({ principals: textsOf(values), notPrincipals: textsOf(notValues) });
    case 'source.ip':
      return filled({ sourceIps: rangesOf(values), notSourceIps: rangesOf(notValues) });
    case 'destination.ip':
      return filled({ destinationIps: rangesOf(values), notDestinationIps: rangesOf(notValues) });
    case 'destination.port':
      return filled({ destinationPorts: portsOf(values), notDestinationPorts: portsOf(notValues) });
    default:
      return {};
  }
}

/** Without the lists that ask for nothing. */
function filled(match: { readonly [K in keyof PolicyMatch]: NonNullable<PolicyMatch[K]> }): PolicyMatch {
  return Object.fromEntries(Object.entries(match).filter(([, list]) => list.length > 0));
}

function textsOf(texts: Texts = []): readonly PolicyText[] {
  return texts.map((text): PolicyText => {
    if (text === '*') return { kind: 'presence' };
    if (text.startsWith('*')) return { kind: 'suffix', value: text.slice(1) };
    return text.endsWith('*') ? { kind: 'prefix', value: text.slice(0, -1) } : { kind: 'exact', value: text };
  });
}

/** `account`, or `namespace/account`. */
function accountsOf(texts: Texts = [], namespace: string): readonly PolicyAccount[] {
  return texts.map((text) => {
    const slash = text.indexOf('/');
    return slash < 0
      ? { namespace, serviceAccount: text }
      : { namespace: text.slice(0, slash), serviceAccount: text.slice(slash + 1) };
  });
}

/** Istio leaves out what is no port. */
function portsOf(texts: Texts = []): readonly number[] {
  return texts.flatMap((text) => {
    const port = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    return port <= 65_535 ? [port] : [];
  });
}

/** Istio leaves out what is no address. */
function rangesOf(texts: Texts = []): readonly PolicyRange[] {
  return texts.flatMap((text) => {
    const [address = '', length, ...rest] = text.split('/');
    const family = isIP(address);
    if (family === 0 || rest.length > 0 || address.includes('%')) return [];
    const longest = family === 4 ? 32 : 128;
    if (length === undefined) return [{ address, bits: longest }];
    const bits = /^(?:0|[1-9]\d{0,2})$/.test(length) ? Number(length) : Number.NaN;
    return bits <= longest ? [{ address, bits }] : [];
  });
}
