import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { LISTENER } from '../../../src/codec/resource-types.js';
import type { Mesh } from '../../../src/index.js';
import type { FilterConfig } from '../../../src/model/filter-config.js';
import type { HttpConnectionManager, InboundListener } from '../../../src/model/listener.js';
import { World } from '../mesh/features-world.js';
import { AdsState } from '../support/ads-state.js';
import { behaved, type EvilAds, startEvilAds } from '../support/evil-ads.js';
import { forward, host } from '../support/static-mesh.js';
import { type GrpcMember, type GrpcSetup, serveGrpc } from './server-support.js';

/** What a listener has besides the usual. */
export interface ListenerSetup {
  readonly filters?: readonly FilterConfig[];
  /** Further fields of the connection manager. */
  readonly http?: Partial<HttpConnectionManager>;
  readonly chains?: readonly ('tls' | 'raw_buffer')[];
  /** Changes the listener at last. */
  readonly change?: (listener: InboundListener) => InboundListener;
}

/** Servers of gRPC whose listeners a test writes, by xDS of its own; certificates come from a real authority. */
export class ServerWorld {
  readonly world: World;
  readonly state: AdsState;
  readonly #ads: EvilAds;

  private constructor(world: World, state: AdsState, ads: EvilAds) {
    this.world = world;
    this.state = state;
    this.#ads = ads;
  }

  static async start(): Promise<ServerWorld> {
    const state = new AdsState();
    return new ServerWorld(await World.start(''), state, await startEvilAds(behaved(state)));
  }

  /** A server whose port has such a listener from the start. */
  async serve(listener: ListenerSetup = {}, setup: GrpcSetup = {}): Promise<GrpcMember> {
    const port = await freePort();
    this.listen(port, listener);
    return serveGrpc(this.world, {
      ...setup,
      address: `127.0.0.1:${port}`,
      mesh: {
        controlPlane: `127.0.0.1:${this.#ads.port}`,
        certificateAuthority: this.world.plane.addresses.xds,
        ...setup.mesh,
      },
    });
  }

  /** A process whose configuration is the test's. */
  join(): Promise<Mesh> {
    return this.world.join({
      service: 'echo',
      leaveDelayMs: 0,
      controlPlane: `127.0.0.1:${this.#ads.port}`,
      certificateAuthority: this.world.plane.addresses.xds,
    });
  }

  /** Gives the port another listener. */
  listen(port: number, setup: ListenerSetup): void {
    const name = `xds.istio.io/grpc/lds/inbound/127.0.0.1:${port}`;
    this.state.put(LISTENER, name, listenerOf(name, port, setup)).publish();
  }

  async close(): Promise<void> {
    await this.world.close();
    await this.#ads.kill();
  }
}

function listenerOf(
  name: string,
  port: number,
  { filters = [], http = {}, chains = ['tls', 'raw_buffer'], change = (one) => one }: ListenerSetup,
): InboundListener {
  const table = host('inbound', [{ ...forward('-'), action: { kind: 'non-forwarding' } }]).routes;
  if (table === undefined) throw new Error('a host has a table');
  const manager: HttpConnectionManager = {
    routes: { kind: 'inline', config: table },
    filters: [
      ...filters.map((config, index) => ({ name: `${index}-${config.kind}`, config })),
      { name: 'router', config: { kind: 'router' } },
    ],
    ...http,
  };
  return change({
    kind: 'inbound',
    name,
    address: { address: '127.0.0.1', port },
    filterChains: chains.map((transportProtocol) => ({
      name: transportProtocol,
      transportProtocol,
      tls: transportProtocol === 'tls' ? { requireClientCertificate: true, alpn: ['h2'] } : undefined,
      http: manager,
    })),
  });
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  // A listening TCP server has an address of this form.
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
