import type { InboundListener } from '../model/listener.js';
import type { NodeWorkload } from '../model/node.js';
import type { Clock } from '../runtime/clock.js';
import type { XdsClient } from '../xds/client-api.js';
import { inboundListenerName } from './node.js';
import type { ResolvedMeshOptions } from './options.js';

/** A served port, as it is announced to the control plane. */
export interface ServedPort {
  readonly address: string;
  readonly port: number;
  readonly portName: string;
  /** What it speaks, when it is not HTTP of any kind. */
  readonly protocol?: NonNullable<NodeWorkload['protocol']>;
}

type PortOptions = Pick<
  ResolvedMeshOptions,
  'service' | 'inboundTemplate' | 'startupTimeoutMs' | 'leaveDelayMs'
>;

/** The ports that this process serves: what the control plane hears of them, and what it says about them. */
export class ServedPorts {
  readonly #options: PortOptions;
  readonly #xds: Pick<XdsClient, 'published' | 'connected' | 'setInboundNames'>;
  readonly #clock: Clock;
  /** The control plane has to hear of a change. */
  readonly #onChange: () => void;
  #workloads: readonly NodeWorkload[] = [];

  constructor(
    options: PortOptions,
    xds: Pick<XdsClient, 'published' | 'connected' | 'setInboundNames'>,
    clock: Clock,
    onChange: () => void,
  ) {
    [this.#options, this.#xds, this.#clock, this.#onChange] = [options, xds, clock, onChange];
  }

  /** As the node names them. */
  get workloads(): readonly NodeWorkload[] {
    return this.#workloads;
  }

  /** The control plane registers the port while this process is connected; settles when its listener came, or late. */
  async announce(port: ServedPort): Promise<void> {
    this.#workloads = [...this.#workloads, { service: this.#options.service, tlsMode: 'istio', ...port }];
    this.#xds.setInboundNames(this.#workloads.map((one) => this.#nameOf(one)));
    this.#onChange();
    await this.#inboundWithin(port, this.#options.startupTimeoutMs);
  }

  /** Takes a port back; settles when callers have had the time to hear of it. */
  withdraw(port: ServedPort): Promise<void> {
    this.#workloads = this.#workloads.filter((one) => one.port !== port.port || one.address !== port.address);
    this.#onChange();
    if (this.#xds.connected.value.state !== 'connected') return Promise.resolve();
    return new Promise((resolve) => {
      this.#clock.schedule(this.#options.leaveDelayMs, resolve, true);
    });
  }

  /**
   * The inbound listener of a port. A service that restarts on another port while the control plane is away finds only the
   * listener of its old port in the cache: its policy holds for the new one.
   */
  inbound(port: ServedPort): InboundListener | undefined {
    const { snapshot, source } = this.#xds.published.value;
    const own = snapshot.inbound.get(this.#nameOf(port));
    if (own !== undefined || source !== 'cache') return own;
    return snapshot.inbound.values().next().value;
  }

  #inboundWithin(port: ServedPort, waitMs: number): Promise<void> {
    if (this.inbound(port) !== undefined) return Promise.resolve();
    return new Promise((resolve) => {
      const finish = () => {
        timer.cancel();
        unsubscribe();
        resolve();
      };
      const timer = this.#clock.schedule(waitMs, finish, true);
      const unsubscribe = this.#xds.published.subscribe(() => {
        if (this.inbound(port) !== undefined) finish();
      });
    });
  }

  #nameOf(port: { readonly address: string; readonly port: number }): string {
    return inboundListenerName(this.#options.inboundTemplate, port.address, port.port);
  }
}
