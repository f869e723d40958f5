import type { HttpFilter } from '../../../model/filter-config.js';
import type { NetworkGuard } from '../../../model/network-guard.js';
import type { PathRules } from '../../../model/request-processing.js';
import type { GatewayServer } from '../../kinds/types.js';
import type { ConfigView, Document } from '../../kinds/view.js';
import type { MeshConfig } from '../../mesh/mesh-config.js';
import type { Profile } from '../profile.js';
import type { RouteContext, Target } from '../route-context.js';
import type { EffectivePolicy } from '../traffic-policy.js';
import type { ListenPorts } from './gateway-ports.js';
import type { EnvoyTracing } from './tracing.js';

/** What gateways are compiled with. */
export interface GatewayTools {
  /** Whether secrets are taken to be there that no document holds. */
  readonly assumesSecrets: boolean;
  readonly view: ConfigView;
  readonly profile: Profile;
  readonly config: MeshConfig;
  readonly serviceOf: RouteContext['serviceOf'];
  readonly hashOf: RouteContext['hashOf'];
  readonly policyOf: (target: Target) => EffectivePolicy;
  readonly listenPorts: ListenPorts;
  /** What requests pass before their routes. */
  readonly filters: readonly HttpFilter[];
  /** What connections without requests pass. */
  readonly guards: readonly NetworkGuard[];
  /** What is done to paths before that. */
  readonly paths: PathRules;
  /** Undefined = requests are not traced. */
  readonly traced: EnvoyTracing | undefined;
}

/** A server of a Gateway with what it does with connections. */
export interface PortServer {
  /** Where it listens. */
  readonly listenPort: number;
  readonly gateway: Document<'Gateway'>;
  readonly server: GatewayServer;
  /** `https` and `terminated` end TLS; what is in it is HTTP, or anything. */
  readonly kind: 'http' | 'https' | 'terminated' | 'passthrough' | 'tcp';
}

/** A route table of a gateway: of all servers of plain HTTP on a port, or of one server with TLS. */
export interface TablePlan {
  readonly name: string;
  /** As the document says. */
  readonly port: number;
  readonly servers: readonly PortServer[];
}

/** The name by which documents mean a gateway. */
export function gatewayKey({ namespace, name }: Document<'Gateway'>): string {
  return `${namespace}/${name}`;
}
