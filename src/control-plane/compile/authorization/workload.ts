import type { HttpFilter } from '../../../model/filter-config.js';
import type { NetworkGuard } from '../../../model/network-guard.js';
import type { ConfigView } from '../../kinds/view.js';
import type { MeshConfig } from '../../mesh/mesh-config.js';
import { listServices } from '../../mesh/services.js';
import { isExported } from '../../mesh/visibility.js';
import type { RegistrySnapshot } from '../../registry/snapshot.js';
import type { PolicySubject } from '../policy-scope.js';
import {
  type AuthorizationTools,
  grpcAuthorization,
  httpAuthorization,
  tcpAuthorization,
} from './filters.js';
import type { ServiceLookup } from './providers.js';
import { effectivePolicies } from './select-policies.js';

/** What a workload does about who may do what. */
export interface WorkloadAuthorization {
  /** For requests, before the router. */
  readonly http: readonly HttpFilter[];
  /** For connections that bring no requests. */
  readonly tcp: readonly NetworkGuard[];
  /** For gRPC's own servers. */
  readonly grpc: readonly HttpFilter[];
  /** Why something is refused that a policy would have had decided elsewhere. */
  readonly problems: readonly string[];
}

const NOTHING: WorkloadAuthorization = { http: [], tcp: [], grpc: [], problems: [] };

/** Compiles the policies of workloads; one for each state of the configuration. */
export type AuthorizationCompiler = (subject: PolicySubject) => WorkloadAuthorization;

/** What the policies of one state of the mesh are compiled with. */
export function authorizationCompiler(
  view: ConfigView,
  registry: RegistrySnapshot,
  config: MeshConfig,
): AuthorizationCompiler {
  // A mesh without policies pays nothing for them.
  if (view.list('AuthorizationPolicy').length === 0) return () => NOTHING;
  const toolsFor = authorizationTools(view, registry, config);
  return (subject) => {
    const policies = effectivePolicies(view, subject, config.rootNamespace);
    const tools = toolsFor(subject.namespace);
    const http = httpAuthorization(policies, tools);
    const tcp = tcpAuthorization(policies, tools);
    return {
      http: http.filters,
      tcp: tcp.guards,
      grpc: grpcAuthorization(policies, tools),
      problems: [...new Set([...http.problems, ...tcp.problems])],
    };
  };
}

/** What the policies of the workloads of a namespace are compiled with. */
export function authorizationTools(
  view: ConfigView,
  registry: RegistrySnapshot,
  config: MeshConfig,
): (namespace: string) => AuthorizationTools {
  const lookupFor = serviceLookup(view, registry, config);
  return (namespace) => ({
    trustDomains: [config.trustDomain, ...config.trustDomainAliases],
    providers: config.extensionProviders,
    severalProviders: config.severalAuthorizationProviders,
    namespacesOf: lookupFor(namespace),
  });
}

/** Services are looked up once they are asked for: only policies of action CUSTOM do. */
function serviceLookup(
  view: ConfigView,
  registry: RegistrySnapshot,
  config: Pick<MeshConfig, 'exportTo'>,
): (clientNamespace: string) => ServiceLookup {
  const byDefault = config.exportTo.services;
  let services: ReturnType<typeof listServices> | undefined;
  return (clientNamespace) => (host) => {
    services ??= listServices(view, registry);
    return services
      .filter(
        (one) =>
          one.host === host &&
          isExported(one.exportTo, { from: one.namespace, to: clientNamespace, byDefault }),
      )
      .map(({ namespace }) => namespace);
  };
}
