import type { InboundListener } from '../../model/listener.js';
import type { Node } from '../../model/node.js';
import { isEqual } from '../../runtime/equal.js';
import type { ConfigView } from '../kinds/view.js';
import type { MeshConfig } from '../mesh/mesh-config.js';
import type { RegistrySnapshot } from '../registry/snapshot.js';
import { GRPC_ENCODERS, SDK_ENCODERS } from '../resources/encoders.js';
import { type AuthorizationCompiler, authorizationCompiler } from './authorization/workload.js';
import { type PatchTarget, patchInbound } from './envoy-filter/patched.js';
import { type Patch, type PatchSubject, patchesFor } from './envoy-filter/patches.js';
import { grpcServerListener, servedAddress } from './grpc/server-listener.js';
import { type InboundSecurity, inboundHttpPolicy } from './inbound-security.js';
import { groupOf } from './instances.js';
import { inboundListener, inboundListenerName } from './listeners.js';
import { meshConfigOf } from './mesh-document.js';
import { mtlsModes } from './peer-authentication.js';
import { servingLabels } from './policy-scope.js';
import { readinessOf } from './readiness.js';
import { sidecarFor } from './sidecar.js';
import { servedTls } from './sidecar-ingress.js';

const MAX_LISTENERS = 50_000;

/** What listeners are compiled from. */
export interface InboundInput {
  readonly view: ConfigView;
  readonly registry: RegistrySnapshot;
  /** Equal when the services of the registry are. */
  readonly shape: number;
}

/** The probe of the group that a node is of. */
function probeOf({ metadata }: Node, service: string, view: ConfigView) {
  if (view.list('WorkloadGroup').length === 0) return undefined;
  const { NAMESPACE: namespace, LABELS, AUTO_REGISTER_GROUP: group } = metadata;
  return groupOf(view, { namespace, labels: servingLabels(service, LABELS), group })?.spec.probe;
}

/** The listeners of what nodes serve: each is for one node alone, and the same object as long as it says the same. */
export class InboundListeners {
  readonly #config: MeshConfig;
  readonly #security: InboundSecurity & Pick<PatchTarget, 'onRefused'>;
  readonly #known = new Map<
    string,
    { readonly version: string; readonly listener: InboundListener | undefined }
  >();
  #authorization: { readonly version: string; readonly compile: AuthorizationCompiler } | undefined;

  constructor(security: InboundSecurity & Pick<PatchTarget, 'onRefused'>) {
    this.#config = security.config;
    this.#security = security;
  }

  /** Grows with everything that listeners follow from. */
  version({ view, shape }: InboundInput): string {
    const version = `${view.revision} ${this.#security.keys.revision}`;
    // Services that authorize may come and go with the registry.
    return meshConfigOf(view, this.#config).extensionProviders.length === 0 ? version : `${version} ${shape}`;
  }

  /** One for each port that the node says it serves. */
  of(node: Node, input: InboundInput): readonly (readonly [string, InboundListener])[] {
    const { NAMESPACE: namespace, LABELS, INMESH_WORKLOADS = [] } = node.metadata;
    return INMESH_WORKLOADS.flatMap((served) => {
      const probe = probeOf(node, served.service, input.view);
      const name = inboundListenerName(this.#config.inboundTemplate, served);
      const labels = servingLabels(served.service, LABELS);
      const patches = this.#patchesFor(node, { namespace, labels }, input);
      const probed = probe && [
        probe,
        node.metadata.SERVICE_ACCOUNT,
        INMESH_WORKLOADS.map(({ port }) => port),
      ];
      const ids = patches.map(({ id }) => id);
      const key = JSON.stringify([name, namespace, labels, served.protocol, ids, probed]);
      const make = () => {
        const { view } = input;
        const config = meshConfigOf(view, this.#config);
        const subject = { namespace, labels, service: served.service };
        const { http, tcp } = this.#authorizationOf(input)(subject);
        const listener = inboundListener(name, served, {
          mode: mtlsModes(view, config)(subject, served.port),
          http: inboundHttpPolicy(
            view,
            { ...subject, port: served.port, node },
            { ...this.#security, config, authorization: http },
          ),
          guards: tcp,
          tls: servedTls(sidecarFor(view, { namespace, labels }, config.rootNamespace), served.port),
        });
        const modes = mtlsModes(view, config);
        const readiness =
          probe &&
          readinessOf(probe, {
            metadata: node.metadata,
            trustDomain: config.trustDomain,
            modeOf: (port) =>
              INMESH_WORKLOADS.some((one) => one.port === port) ? modes(subject, port) : undefined,
          });
        const own = readiness === undefined ? listener : { ...listener, readiness };
        return this.#patched(own, served.port, { patches, isOurs: true, encoders: SDK_ENCODERS });
      };
      const listener = this.#remembered(key, input, make);
      return listener === undefined ? [] : [[name, listener] as const];
    });
  }

  /** The one of a gRPC server that asks by the name of its address; undefined when it is no such name. */
  ofGrpcServer(name: string, node: Node, input: InboundInput): InboundListener | undefined {
    const { metadata } = node;
    const address = servedAddress(name, this.#config.inboundTemplate);
    if (address === undefined) return undefined;
    const { NAMESPACE: namespace, LABELS, INMESH_WORKLOADS = [] } = metadata;
    const served = INMESH_WORKLOADS.find(({ port }) => port === address.port);
    const labels = servingLabels(served?.service, LABELS);
    const patches = this.#patchesFor(node, { namespace, labels }, input);
    const ids = patches.map(({ id }) => id);
    const key = JSON.stringify(['grpc', name, namespace, labels, served?.service, served?.tlsMode, ids]);
    return this.#remembered(key, input, () => {
      const mode = mtlsModes(input.view, meshConfigOf(input.view, this.#config))(
        { namespace, labels },
        address.port,
      );
      const { grpc } = this.#authorizationOf(input)({ namespace, labels, service: served?.service });
      const listener = grpcServerListener(name, address, { mode, metadata, http: grpc });
      return this.#patched(listener, address.port, { patches, isOurs: false, encoders: GRPC_ENCODERS });
    });
  }

  #patchesFor(
    node: Node,
    subject: Pick<PatchSubject, 'namespace' | 'labels'>,
    { view }: InboundInput,
  ): readonly Patch[] {
    return patchesFor(view, { ...subject, node }, meshConfigOf(view, this.#config).rootNamespace);
  }

  #patched(
    listener: InboundListener,
    port: number,
    target: Pick<PatchTarget, 'patches' | 'isOurs' | 'encoders'>,
  ): InboundListener | undefined {
    const { onRefused } = this.#security;
    return patchInbound(listener, port, { ...target, context: 'SIDECAR_INBOUND', onRefused });
  }

  #authorizationOf(input: InboundInput): AuthorizationCompiler {
    const version = this.version(input);
    if (this.#authorization?.version !== version) {
      const compile = authorizationCompiler(
        input.view,
        input.registry,
        meshConfigOf(input.view, this.#config),
      );
      this.#authorization = { version, compile };
    }
    return this.#authorization.compile;
  }

  #remembered(
    key: string,
    input: InboundInput,
    make: () => InboundListener | undefined,
  ): InboundListener | undefined {
    const known = this.#known.get(key);
    const version = this.version(input);
    if (known?.version === version) return known.listener;
    const next = make();
    const listener = known !== undefined && isEqual(known.listener, next) ? known.listener : next;
    if (this.#known.size >= MAX_LISTENERS) this.#known.clear();
    this.#known.set(key, { version, listener });
    return listener;
  }
}
