import { type ChannelOptions, type experimental, Metadata, status } from '@grpc/grpc-js';
import type { MeshCore } from '../../mesh/core.js';
import { type Experimental, experimentalOf } from './adapter.js';
import { PLACE_ATTRIBUTE, POLICY, registerMeshBalancer } from './balancer.js';
import { meshConfigSelector } from './config-selector.js';
import { FramedPlace } from './framed-place.js';
import { parseTarget } from './target.js';

type GrpcUri = experimental.GrpcUri;
type ResolverListener = experimental.ResolverListener;

/** Schemes of targets that the mesh resolves. */
export type MeshScheme = 'mesh' | 'xds';

/** How targets are taken over. */
export interface ResolverOptions {
  /** By default both. `xds` takes the place of grpc-js-xds, should that be registered, too. */
  readonly schemes?: readonly MeshScheme[];
}

/**
 * Lets every channel of grpc-js in this process reach the mesh by its target alone: `mesh:///greeter:50051`, and
 * `xds:///greeter:50051`. For code that makes its own channels, such as libraries; your own clients are better off with
 * `meshChannel`. The last mesh that was registered is the one that is used.
 * @throws MeshError `INMESH_UNSUPPORTED` when this version of grpc-js has another interface for it.
 */
export function registerMeshResolver(
  mesh: { readonly core: MeshCore },
  { schemes = ['mesh', 'xds'] }: ResolverOptions = {},
): void {
  const grpc = experimentalOf();
  registerMeshBalancer(grpc);
  const Resolver = resolverClass(grpc, mesh.core);
  for (const scheme of schemes) grpc.registerResolver(scheme, Resolver);
}

function resolverClass(grpc: Experimental, core: MeshCore) {
  return class MeshResolver implements experimental.Resolver {
    readonly #listener: ResolverListener;
    readonly #place: FramedPlace | undefined;
    readonly #target: GrpcUri;
    #isDestroyed = false;

    constructor(target: GrpcUri, listener: ResolverListener, options: ChannelOptions) {
      this.#target = target;
      this.#listener = listener;
      const parsed = parseTarget(target.path);
      this.#place = parsed && new FramedPlace(core, parsed.authority, options);
    }

    /** grpc-js: the listener must not be called before this returns. */
    updateResolution(): void {
      this.#isDestroyed = false;
      process.nextTick(() => {
        if (!this.#isDestroyed) this.#resolve();
      });
    }

    destroy(): void {
      this.#isDestroyed = true;
    }

    static getDefaultAuthority(target: GrpcUri): string {
      return target.path;
    }

    #resolve(): void {
      if (this.#place === undefined) {
        const details = `${this.#target.scheme}:///${this.#target.path} names no service of the mesh`;
        const error = { code: status.UNAVAILABLE, details, metadata: new Metadata() };
        this.#listener(grpc.statusOrFromError(error), {}, null, '');
        return;
      }
      const endpoints = [{ addresses: [{ host: this.#place.target, port: 0 }] }];
      const config = { loadBalancingConfig: [{ [POLICY]: {} }], methodConfig: [] };
      const selector = meshConfigSelector(grpc, this.#place.settings);
      this.#listener(
        grpc.statusOrFromValue(endpoints),
        { [PLACE_ATTRIBUTE]: this.#place, [grpc.CHANNEL_ARGS_CONFIG_SELECTOR_KEY]: selector },
        grpc.statusOrFromValue(config),
        '',
      );
    }
  };
}
