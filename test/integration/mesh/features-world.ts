import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  type ControlPlane,
  type ControlPlaneOptions,
  createControlPlane,
  createMemorySource,
  type MemorySource,
} from '../../../src/control-plane.js';
import type { Mesh, MeshOptions, Observer } from '../../../src/index.js';
import { silentLogger } from '../../../src/runtime/log.js';
import { joinQuietly, type Member, serveAs } from './support.js';

/** A control plane in this process, the members that a test starts, and their orderly end. */
export class World {
  readonly plane: ControlPlane;
  readonly #source: MemorySource;
  readonly #closers: (() => Promise<unknown>)[] = [];

  private constructor(plane: ControlPlane, source: MemorySource) {
    this.plane = plane;
    this.#source = source;
  }

  /** Starts a control plane with the given configuration, which must be accepted. */
  static async start(yaml: string, options: ControlPlaneOptions = {}): Promise<World> {
    const source = createMemorySource(yaml);
    const plane = await createControlPlane({
      sources: [source],
      ports: { xds: 0, secureXds: 0, http: 0 },
      debounceMs: { quietMs: 5, maxMs: 50 },
      registrationGraceMs: 200,
      logger: silentLogger,
      ...options,
    });
    const world = new World(plane, source);
    world.#mustBeAccepted();
    return world;
  }

  /** Replaces the configuration, which must be accepted. */
  configure(yaml: string): void {
    this.#source.set(yaml);
    this.#mustBeAccepted();
  }

  async join(options: MeshOptions = {}): Promise<Mesh> {
    const mesh = await joinQuietly({ service: 'client', controlPlane: this.plane.addresses.xds, ...options });
    this.#closers.push(() => mesh.close());
    return mesh;
  }

  async serve(options: MeshOptions, handler: RequestListener): Promise<Member> {
    const controlPlane = this.plane.addresses.xds;
    const member = await serveAs({ controlPlane, leaveDelayMs: 0, ...options }, handler);
    this.onClose(async () => {
      member.server.closeAllConnections();
      await member.mesh.close();
    });
    return member;
  }

  /** A server outside of the mesh. */
  async serveOutside(handler: RequestListener): Promise<{ readonly server: Server; readonly port: number }> {
    const server = createServer(handler).listen(0, '127.0.0.1');
    await once(server, 'listening');
    this.onClose(() => stop(server));
    // A listening TCP server has an address of this form.
    return { server, port: (server.address() as AddressInfo).port };
  }

  onClose(close: () => Promise<unknown>): void {
    this.#closers.push(close);
  }

  async close(): Promise<void> {
    for (const close of this.#closers.splice(0).reverse()) await close();
    await this.plane.close();
  }

  #mustBeAccepted(): void {
    const { rejected } = this.plane.status();
    if (rejected !== undefined) throw new Error(JSON.stringify(rejected.violations));
  }
}

/** Stops a server with every connection. */
export async function stop(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}

/** A document of one of Istio's groups with the given specification in block style. */
export function istio(kind: string, name: string, spec: string, namespace = 'default'): string {
  const group = /^(Peer|Authorization|RequestA)/.test(kind) ? 'security' : 'networking';
  const indented = spec.trim().replace(/^/gm, '  ');
  return `---
apiVersion: ${group}.istio.io/v1
kind: ${kind}
metadata: { name: ${name}, namespace: ${namespace} }
spec:
${indented}
`;
}

/** A Service document with one HTTP port. */
export function service(name: string, port = 80, namespace = 'default'): string {
  return `---
apiVersion: v1
kind: Service
metadata: { name: ${name}, namespace: ${namespace} }
spec:
  selector: { app: ${name} }
  ports: [{ name: http, port: ${port} }]
`;
}

/** Status and body, to compare at once. */
export async function answerOf(pending: Promise<Response>): Promise<readonly [status: number, body: string]> {
  const response = await pending;
  return [response.status, await response.text()];
}

/** How often each body came in `count` sequential requests. */
export async function bodiesOf(mesh: Mesh, url: string, count: number): Promise<Map<string, number>> {
  const bodies = new Map<string, number>();
  for (let i = 0; i < count; i++) {
    const [, body] = await answerOf(mesh.fetch(url));
    bodies.set(body, (bodies.get(body) ?? 0) + 1);
  }
  return bodies;
}

/** Hears every finished exchange of a mesh. */
export function recordExchanges(): {
  readonly observer: Observer;
  readonly exchanges: { readonly status: number; readonly flags: string; readonly attempts: number }[];
} {
  const exchanges: { status: number; flags: string; attempts: number }[] = [];
  const observer: Observer = {
    exchange({ context }, { status }) {
      exchanges.push({ status, flags: context.flags.join(','), attempts: context.attemptCount });
    },
  };
  return { observer, exchanges };
}
