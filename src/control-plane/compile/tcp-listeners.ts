import { isIPv6 } from 'node:net';
import type { SocketAddress } from '../../model/address.js';
import { MATCH_EVERYTHING } from '../../model/filter-chain-match.js';
import type { OutboundTcpListener, TcpFilterChain, TlsInspection } from '../../model/listener.js';
import {
  DEFAULT_TCP_IDLE_MS,
  type TcpCluster,
  type TcpProxy,
  type TcpTunnel,
} from '../../model/tcp-proxy.js';
import type { AddressRange } from '../../model/value-matcher.js';
import type { TcpRoute, TlsRoute } from '../kinds/types.js';
import type { Document } from '../kinds/view.js';
import { clusterName } from '../mesh/names.js';
import { isTlsPort, type ServicePort } from '../mesh/port-protocol.js';
import { isForGateway, selects } from '../mesh/visibility.js';
import type { RouteContext, Target } from './route-context.js';
import { targetOf } from './routes.js';
import { addressesOf } from './service-addresses.js';
import type { EffectivePolicy } from './traffic-policy.js';

/** What the chains of one listener are compiled for. */
export interface TcpContext extends Pick<RouteContext, 'profile' | 'host' | 'serviceOf' | 'gateway'> {
  readonly port: number;
  readonly policyOf: (target: Target) => EffectivePolicy;
}

/** Envoy's default of the time for the first bytes. Istio sets none. */
const INSPECTION: TlsInspection = { timeoutMs: 15_000, continuesOnTimeout: false };

/** The listener for a host and port that speak no HTTP: by its VirtualService, else straight to the service. */
export function tcpListener(
  name: string,
  port: ServicePort,
  virtualService: Document<'VirtualService'> | undefined,
  context: TcpContext,
  address: SocketAddress | undefined = addressOf(context),
): OutboundTcpListener {
  const filterChains = isTlsPort(port)
    ? tlsChains(virtualService, context)
    : tcpChains(virtualService, context);
  const inspects = filterChains.some(({ match }) => match.serverNames.length > 0);
  return {
    kind: 'outbound-tcp',
    name,
    address,
    filterChains,
    defaultChain: undefined,
    inspection: inspects ? INSPECTION : undefined,
  };
}

/** The address of the service, where it has one: connections to it find the listener, and subnets are compared with it. */
function addressOf({ host, port, serviceOf }: TcpContext): SocketAddress | undefined {
  const [address] = addressesOf(serviceOf(host)).hosts;
  return address === undefined ? undefined : { address, port };
}

/** Without a rule that ends the list, and for TLS without any that matches, the service itself is reached. */
function tcpChains(
  virtualService: Document<'VirtualService'> | undefined,
  context: TcpContext,
): readonly TcpFilterChain[] {
  const chains = new Chains();
  if (virtualService === undefined || !addTcpRules(virtualService, context, chains)) {
    chains.add([], [], ownProxy(context));
  }
  return chains.list;
}

/** Istio: the first rule that matches without a subnet ends the list. Whether there is one. */
export function addTcpRules(
  { spec, namespace }: Document<'VirtualService'>,
  context: TcpContext,
  chains: Chains,
): boolean {
  for (const rule of spec.tcp ?? []) {
    const proxy = proxyOf(rule, namespace, context);
    const matches = (rule.match ?? []).filter((match) => holdsFor(match, namespace, context));
    const isOpen = (rule.match ?? []).length === 0 || matches.some((match) => subnetsOf(match).length === 0);
    for (const match of matches) chains.add(subnetsOf(match), [], proxy);
    if (isOpen) {
      chains.add([], [], proxy);
      return true;
    }
  }
  return false;
}

/** Istio: with matching rules only what they name is let through; without any everything goes to the service. */
function tlsChains(
  virtualService: Document<'VirtualService'> | undefined,
  context: TcpContext,
): readonly TcpFilterChain[] {
  const chains = new Chains();
  if (virtualService !== undefined) addTlsRules(virtualService, context, chains);
  if (chains.list.length === 0) chains.add([], [], ownProxy(context));
  return chains.list;
}

/** A chain for each name of a server that a rule is about. */
export function addTlsRules(
  { spec, namespace }: Document<'VirtualService'>,
  context: TcpContext,
  chains: Chains,
): void {
  for (const rule of spec.tls ?? []) {
    const proxy = proxyOf(rule, namespace, context);
    for (const match of rule.match) {
      if (holdsFor(match, namespace, context)) chains.add(subnetsOf(match), match.sniHosts, proxy);
    }
  }
}

/** Filter chains, none of which asks for what an earlier one takes already: Envoy refuses that. */
export class Chains {
  readonly list: TcpFilterChain[] = [];
  readonly #seen = new Set<string>();

  add(subnets: readonly string[], serverNames: readonly string[], tcp: TcpProxy): void {
    const names = serverNames.map((name) => name.toLowerCase());
    for (const subnet of subnets.length === 0 ? [''] : subnets) {
      const fresh = (names.length === 0 ? [''] : names).filter((name) => {
        const key = `${subnet} ${name}`;
        const isNew = !this.#seen.has(key);
        this.#seen.add(key);
        return isNew;
      });
      if (fresh.length === 0) continue;
      this.list.push({
        name: '',
        match: {
          ...MATCH_EVERYTHING,
          destinationRanges: subnet === '' ? [] : [rangeOf(subnet)],
          serverNames: fresh.filter((name) => name !== ''),
        },
        tcp,
      });
    }
  }
}

type L4Match = NonNullable<TcpRoute['match']>[number] | TlsRoute['match'][number];

function subnetsOf({ destinationSubnets = [] }: L4Match): readonly string[] {
  return destinationSubnets;
}

function rangeOf(subnet: string): AddressRange {
  const [address = '', bits] = subnet.split('/');
  const whole = address.includes(':') ? 128 : 32;
  return { address, bits: bits === undefined ? whole : Number(bits) };
}

/** What of a match is known when the configuration is made (Istio: static predicates). */
function holdsFor(match: L4Match, namespace: string, { port, profile, gateway }: TcpContext): boolean {
  const { sourceNamespace, sourceLabels } = match;
  return (
    (match.port === undefined || match.port === port) &&
    isForGateway(match, namespace, gateway) &&
    (!sourceNamespace || sourceNamespace === profile.namespace) &&
    selects(sourceLabels, profile.labels)
  );
}

function ownProxy(context: TcpContext): TcpProxy {
  const { host, port } = context;
  const target = { host, port, subset: '' };
  return proxyTo([target], { kind: 'cluster', name: clusterName(port, '', host) }, context);
}

function proxyOf({ route = [] }: TcpRoute | TlsRoute, namespace: string, context: TcpContext): TcpProxy {
  const destinations = route.map(({ destination, weight = 0 }) => ({
    target: targetOf(destination, namespace, context),
    weight,
  }));
  const [only] = destinations;
  const targets = destinations.map(({ target }) => target);
  if (only !== undefined && destinations.length === 1) {
    return proxyTo(targets, { kind: 'cluster', name: nameOf(only.target) }, context);
  }
  const clusters = destinations
    .filter(({ weight }) => weight > 0)
    .map(({ target, weight }) => ({ name: nameOf(target), weight }));
  const totalWeight = clusters.reduce((sum, { weight }) => sum + weight, 0);
  return proxyTo(targets, { kind: 'weighted', clusters, totalWeight }, context);
}

function nameOf({ port, subset, host }: Target): string {
  return clusterName(port, subset, host);
}

/** Istio: the policy of the first destination holds for the connection. */
function proxyTo(targets: readonly Target[], cluster: TcpCluster, { policyOf }: TcpContext): TcpProxy {
  const policies = targets.map(policyOf);
  const pool = policies[0]?.connectionPool?.tcp;
  const tunnel = tunnelOf(targets, policyOf);
  const byAddress = policies.some(({ loadBalancer }) => loadBalancer?.consistentHash?.useSourceIp === true);
  return {
    cluster,
    idleTimeoutMs: pool?.idleTimeout ?? DEFAULT_TCP_IDLE_MS,
    maxConnectAttempts: 1,
    ...(byAddress && { hash: { kind: 'source-ip' as const } }),
    ...(tunnel !== undefined && { tunnel }),
    ...(pool?.maxConnectionDuration !== undefined && { maxDurationMs: pool.maxConnectionDuration }),
  };
}

/** Istio: of several destinations the first one's host says it, whatever its subset does. */
function tunnelOf(
  [first, ...more]: readonly Target[],
  policyOf: TcpContext['policyOf'],
): TcpTunnel | undefined {
  const target = first && (more.length === 0 ? first : { ...first, subset: '' });
  const tunnel = target && policyOf(target).tunnel;
  if (tunnel === undefined) return undefined;
  const { targetHost, targetPort, protocol } = tunnel;
  return {
    target: `${isIPv6(targetHost) ? `[${targetHost}]` : targetHost}:${targetPort}`,
    method: protocol === 'POST' ? 'POST' : 'CONNECT',
    path: '/',
  };
}
