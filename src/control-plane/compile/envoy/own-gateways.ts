import type { ConfigView } from '../../kinds/view.js';
import { pathRules } from '../../mesh/mesh-config.js';
import type { MeshService } from '../../mesh/services.js';
import { snapshotOf } from '../../registry/snapshot.js';
import { authorizationCompiler } from '../authorization/workload.js';
import { gatewayFilters } from '../inbound-security.js';
import { indexInstances, registeredIn } from '../instances.js';
import { routeHashOf } from '../load-balancer.js';
import { policyOfTarget } from '../outbound-listeners.js';
import type { CommonOutline, OwnInput } from '../outlined.js';
import type { EnvoyOptions, Profile } from '../profile.js';
import type { Target } from '../route-context.js';
import { byName } from '../tracing.js';
import { listenPorts } from './gateway-ports.js';
import { type EnvoyGateways, envoyGateways } from './gateways.js';
import { type EnvoyTracing, envoyTracing } from './tracing.js';

/** How an Envoy traces; Istio: a collector that is not there is not reported to. */
export function tracedBy(
  { tracing }: Profile,
  { gateways }: EnvoyOptions,
  services: ReadonlyMap<string, MeshService>,
): EnvoyTracing | undefined {
  return envoyTracing(tracing, gateways.length > 0, (service, port) => {
    const found = byName(service, port);
    const known = found && services.get(found.host);
    const isMeant = !service.includes('/') || service.startsWith(`${known?.namespace}/`);
    return known !== undefined && isMeant ? found : undefined;
  });
}

/** What an Envoy is sent for the Gateways that it carries out. */
export function gatewaysOf(
  view: ConfigView,
  { services, policies }: CommonOutline,
  input: OwnInput & {
    readonly envoy: EnvoyOptions;
    readonly traced: EnvoyTracing | undefined;
  },
): EnvoyGateways {
  const { registry, config, profile, envoy, traced } = input;
  const subject = { namespace: profile.namespace, labels: envoy.labels, gateways: envoy.gateways };
  const { http, tcp } = authorizationCompiler(view, registry, config)(subject);
  const policyOf = (target: Target) => policyOfTarget(target, policies.get(target.host), config);
  return envoyGateways({
    view,
    assumesSecrets: input.assumesSecrets,
    profile,
    config,
    serviceOf: (name) => services.get(name),
    hashOf: (target) => routeHashOf(policyOf(target).loadBalancer),
    policyOf,
    filters: gatewayFilters(view, subject, { ...input, authorization: http }),
    guards: tcp,
    paths: pathRules(config),
    traced,
    listenPorts: listenPorts(envoy, {
      namespace: profile.namespace,
      services: envoy.gateways.length === 0 ? [] : services.values(),
      // Envoys do not register, so that documents alone say which services lead to them.
      instances: indexInstances(view, registeredIn(snapshotOf([]))),
      labelsOf: ({ source, namespace }) => {
        if (source.kind === 'implied') return {};
        const kind = source.kind === 'kubernetes' ? 'Service' : 'ServiceEntry';
        return view.get(kind, namespace, source.name)?.labels ?? {};
      },
    }),
  });
}
