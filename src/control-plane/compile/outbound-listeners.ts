import type { Listener } from '../../model/listener.js';
import type { RouteConfiguration } from '../../model/route.js';
import { coversHost } from '../kinds/hosts.js';
import type { ConfigView } from '../store/view.js';
import { aliasesOf } from './aliases.js';
import { type DestinationPolicy, NO_POLICY } from './destination-rules.js';
import { outboundListener } from './listeners.js';
import { routeHashOf } from './load-balancer.js';
import type { MeshConfig } from './mesh-config.js';
import { clusterName } from './names.js';
import { unknownHostOf, unknownHosts } from './outbound-policy.js';
import type { Outline } from './outlined.js';
import { isHttpPort, isTcpPort } from './port-protocol.js';
import type { Profile } from './profile.js';
import { sentLimits } from './rate-limits.js';
import { compileRetry } from './retry-policy.js';
import type { Target } from './route-context.js';
import { compileVirtualHost } from './routes.js';
import type { MeshPort, MeshService } from './services.js';
import type { ClientScope } from './sidecar.js';
import { tcpListener } from './tcp-listeners.js';
import { type EffectivePolicy, effectivePolicy } from './traffic-policy.js';
import type { VirtualServiceIndex } from './virtual-services.js';

/** The policy of connections to a target. */
export function policyOfTarget(
  { port, subset: name }: Target,
  policy: DestinationPolicy | undefined,
  config: MeshConfig,
): EffectivePolicy {
  const { trafficPolicy, subsets } = policy ?? NO_POLICY;
  const subset = subsets.find((one) => one.name === name);
  return effectivePolicy(trafficPolicy, subset?.trafficPolicy, { port, mesh: config });
}

/** What listeners are made from. */
export interface Destinations {
  readonly view: ConfigView;
  readonly config: MeshConfig;
  readonly profile: Profile;
  /** The services that a client reaches, and the policies of its connections to them, by host. */
  readonly services: ReadonlyMap<string, MeshService>;
  readonly policies: ReadonlyMap<string, DestinationPolicy>;
  /** What it sees of them. */
  readonly scope: ClientScope;
}

/** The listeners for what a client calls, with their routes. */
export function compileListeners(from: Destinations): Pick<Outline, 'listeners' | 'routes'> {
  const { services, scope, profile } = from;
  const made = new OutboundListeners(from);
  for (const service of services.values()) {
    for (const port of service.ports) {
      const there = scope.at(port.number);
      if (there?.sees(service)) made.add(service.host, port, there.virtualServices);
    }
  }
  made.addUnserved();
  const unknown = unknownHostOf(profile, from.config, (name) => services.get(name));
  if (unknown !== undefined && profile.generator === 'inmesh') {
    const { listener, routes: table } = unknownHosts(unknown);
    made.listeners.set(listener.name, listener);
    made.routes.set(table.name, table);
  }
  return { listeners: made.listeners, routes: made.routes };
}

/** Listeners as they are made. */
class OutboundListeners {
  readonly listeners = new Map<string, Listener>();
  readonly routes = new Map<string, RouteConfiguration>();
  readonly #from: Destinations;
  readonly #aliases: ReadonlyMap<string, readonly string[]>;

  constructor(from: Destinations) {
    this.#from = from;
    this.#aliases = aliasesOf(from.view, from.profile, from.config);
  }

  add(host: string, port: MeshPort, virtualServices: VirtualServiceIndex): void {
    const isHttp = isHttpPort(port);
    if (isHttp) this.#addHttp(host, port.number, virtualServices);
    const knowsTcp = this.#from.profile.generator !== 'grpc';
    if (knowsTcp && (isHttp || isTcpPort(port))) this.#addTcp(host, port, virtualServices);
  }

  /**
   * Istio: a VirtualService may also define a host that no service has; it answers on port 80. A wildcard that covers
   * services is about those alone.
   */
  addUnserved(): void {
    const { scope, services } = this.#from;
    const plain = scope.at(80);
    if (plain === undefined) return;
    const known = [...services.values()].filter(plain.sees).map(({ host }) => host);
    for (const host of plain.virtualServices.hosts) {
      if (!known.some((name) => coversHost(host, name))) this.#addHttp(host, 80, plain.virtualServices);
    }
  }

  #addHttp(host: string, port: number, virtualServices: VirtualServiceIndex): void {
    const { profile, services, policies, config } = this.#from;
    const aliases = this.#aliases.get(host) ?? [];
    const context = {
      profile,
      host,
      port,
      aliases,
      defaultRetry: compileRetry(undefined, config.defaultHttpRetryPolicy),
      serviceOf: (name: string) => services.get(name),
      hashOf: (target: Target) =>
        routeHashOf(policyOfTarget(target, policies.get(target.host), config).loadBalancer),
    };
    const name = clusterName(port, '', host);
    const virtualHost = compileVirtualHost(virtualServices.find(host, port, 'http'), context);
    const sent = { clientNamespace: profile.namespace, host, port };
    const limits = sentLimits(this.#from.view, sent, config);
    for (const one of [host, ...aliases]) {
      this.listeners.set(
        `${one}:${port}`,
        outboundListener(`${one}:${port}`, name, virtualHost.routes, limits),
      );
    }
    this.routes.set(name, { name, virtualHosts: [virtualHost] });
  }

  #addTcp(host: string, port: MeshPort, virtualServices: VirtualServiceIndex): void {
    const { profile, services, policies, config } = this.#from;
    const virtualService = virtualServices.find(host, port.number, 'tcp');
    const isHttp = isHttpPort(port);
    // A port that nothing is known of may speak anything: for what is no HTTP the rules for TCP hold, where there are any.
    if (isHttp && (port.protocol !== '' || !virtualService?.spec.tcp?.length)) return;
    const context = {
      profile,
      host,
      port: port.number,
      serviceOf: (name: string) => services.get(name),
      policyOf: (target: Target) => policyOfTarget(target, policies.get(target.host), config),
    };
    for (const one of [host, ...(this.#aliases.get(host) ?? [])]) {
      const name = `${isHttp ? 'tcp://' : ''}${one}:${port.number}`;
      this.listeners.set(name, tcpListener(name, port, virtualService, context));
    }
  }
}
