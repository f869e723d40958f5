import type { Http2Server } from 'node:http2';
import { Server as NetServer } from 'node:net';
import type { InboundPolicy } from '../../mesh/inbound.js';
import { inboundPolicyOf } from '../../mesh/inbound-policy.js';
import type { RunningMesh } from '../../mesh/mesh.js';
import type { ServedPort } from '../../mesh/served-ports.js';
import type { Unsubscribe } from '../../runtime/abort.js';
import { createSignal, type MutableSignal } from '../../runtime/signal.js';
import type { LoadReports } from '../http/load/load-reports.js';
import type { Serving } from '../serving.js';
import { GrpcFront } from './front.js';

/** One port of a server in the mesh: what is let in there, and its place in the registry. */
export class MeshPort {
  readonly #mesh: RunningMesh;
  readonly #loads: LoadReports;
  readonly #onReports: () => void;
  readonly #policy: MutableSignal<InboundPolicy>;
  /** A name may stand for several addresses, each with a server of its own. */
  readonly #fronts: { readonly server: Http2Server; readonly front: GrpcFront }[] = [];
  #served: ServedPort | undefined;
  #unsubscribe: Unsubscribe | undefined;
  #joining: Promise<void> | undefined;
  #leaving: Promise<void> | undefined;

  constructor({ mesh, loads }: Serving, onReports: () => void) {
    this.#mesh = mesh;
    this.#loads = loads;
    this.#onReports = onReports;
    // Until the control plane has sent the policy, only mTLS is let in.
    this.#policy = createSignal(inboundPolicyOf(undefined, mesh));
  }

  /** Puts the mesh in front of a server of the port. */
  hold(server: Http2Server): void {
    const { clock, random, identity, secrets, observer, logger, peers, scope } = this.#mesh;
    const policy = this.#policy;
    const loads = this.#loads;
    const onReports = this.#onReports;
    const callers = this.#mesh.plaintextCallers;
    const options = {
      policy,
      identity,
      secrets,
      clock,
      random,
      logger,
      observer,
      peers,
      scope,
      loads,
      callers,
      onReports,
    };
    this.#fronts.push({ server, front: new GrpcFront(server, options) });
  }

  /** Whether any of its servers listens. */
  get hasServers(): boolean {
    return this.#fronts.some(({ server }) => server.listening);
  }

  /** Follows the policy of the port, and announces it. Settles when both are done, or the control plane is late. */
  join(port: number, portName: string): Promise<void> {
    this.#joining ??= this.#join(port, portName);
    return this.#joining;
  }

  async #join(port: number, portName: string): Promise<void> {
    const mesh = this.#mesh;
    const served: ServedPort = { address: mesh.address, port, portName, protocol: 'grpc' };
    this.#served = served;
    let current = mesh.inbound(served);
    this.#policy.set(inboundPolicyOf(current, mesh));
    this.#unsubscribe = mesh.onApplied(() => {
      const next = mesh.inbound(served);
      if (next === current) return;
      current = next;
      this.#policy.set(inboundPolicyOf(next, mesh));
    });
    await mesh.announce(served);
  }

  /** Takes the port back; settles when callers have had the time to hear of it. */
  leave(): Promise<void> {
    this.#leaving ??= this.#served === undefined ? Promise.resolve() : this.#mesh.withdraw(this.#served);
    return this.#leaving;
  }

  /** Takes no more connections; settles when those that there are have finished their calls. */
  async drain(): Promise<void> {
    const drained = this.#fronts.map(({ server, front }) => {
      // Newer versions of Node close the connections along with the server, at once: ours hear of it before.
      if (server.listening) NetServer.prototype.close.call(server);
      return front.drain();
    });
    await Promise.all(drained);
    this.stop();
  }

  /** Takes no more connections, and stops to follow the policy. */
  stop(): void {
    for (const { front } of this.#fronts) front.stop();
    this.#unsubscribe?.();
  }
}
