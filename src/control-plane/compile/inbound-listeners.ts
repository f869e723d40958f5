import type { InboundListener } from '../../model/listener.js';
import type { Node } from '../../model/node.js';
import { isEqual } from '../../runtime/equal.js';
import type { ConfigView } from '../store/view.js';
import { grpcServerListener, servedAddress } from './grpc/server-listener.js';
import { type InboundSecurity, inboundHttpPolicy } from './inbound-security.js';
import { inboundListener, inboundListenerName } from './listeners.js';
import type { MeshConfig } from './mesh-config.js';
import { mtlsModes } from './peer-authentication.js';

const MAX_LISTENERS = 50_000;

/** The listeners of what nodes serve: each is for one node alone, and the same object as long as it says the same. */
export class InboundListeners {
  readonly #config: MeshConfig;
  readonly #security: InboundSecurity;
  readonly #known = new Map<string, { readonly version: string; readonly listener: InboundListener }>();

  constructor(security: InboundSecurity) {
    this.#config = security.config;
    this.#security = security;
  }

  /** Grows with everything that listeners follow from. */
  version({ revision }: ConfigView): string {
    return `${revision} ${this.#security.keys.revision}`;
  }

  /** One for each port that the node says it serves. */
  of(node: Node, view: ConfigView): readonly (readonly [string, InboundListener])[] {
    const { NAMESPACE: namespace, LABELS, INMESH_WORKLOADS = [] } = node.metadata;
    return INMESH_WORKLOADS.map((served) => {
      const name = inboundListenerName(this.#config.inboundTemplate, served);
      const labels = { app: served.service, ...LABELS };
      const key = JSON.stringify([name, namespace, labels, served.protocol]);
      const make = () => {
        const subject = { namespace, labels };
        const mode = mtlsModes(view, this.#config)(subject, served.port);
        return inboundListener(name, served, {
          mode,
          http: inboundHttpPolicy(view, subject, this.#security),
        });
      };
      return [name, this.#remembered(key, view, make)];
    });
  }

  /** The one of a gRPC server that asks by the name of its address; undefined when it is no such name. */
  ofGrpcServer(name: string, { metadata }: Node, view: ConfigView): InboundListener | undefined {
    const address = servedAddress(name, this.#config.inboundTemplate);
    if (address === undefined) return undefined;
    const { NAMESPACE: namespace, LABELS, INMESH_WORKLOADS = [] } = metadata;
    const served = INMESH_WORKLOADS.find(({ port }) => port === address.port);
    const labels = { ...(served && { app: served.service }), ...LABELS };
    const key = JSON.stringify(['grpc', name, namespace, labels, served?.tlsMode]);
    return this.#remembered(key, view, () => {
      const mode = mtlsModes(view, this.#config)({ namespace, labels }, address.port);
      return grpcServerListener(name, address, { mode, metadata });
    });
  }

  #remembered(key: string, view: ConfigView, make: () => InboundListener): InboundListener {
    const known = this.#known.get(key);
    const version = this.version(view);
    if (known?.version === version) return known.listener;
    const next = make();
    const listener = known !== undefined && isEqual(known.listener, next) ? known.listener : next;
    if (this.#known.size >= MAX_LISTENERS) this.#known.clear();
    this.#known.set(key, { version, listener });
    return listener;
  }
}
