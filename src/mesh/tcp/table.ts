import { splitHostPort } from '../../model/address.js';
import type { Snapshot } from '../../model/snapshot.js';
import { HostPorts } from '../../routing/host-ports.js';
import { throughHttpRoutes } from './http-listener.js';
import { type TcpListener, tcpListener } from './listener.js';
import type { ProxyTools } from './route.js';

type Make = () => TcpListener;

/**
 * Which hosts and ports connections are taken for: by the names of the listeners, and by the addresses that these have. One
 * for TCP goes before one for HTTP. Listeners are put to work when they are first asked for.
 */
export class TcpTable {
  readonly #listeners: HostPorts<Make>;
  /** Whether the configuration lets nothing out that it does not name. */
  readonly isClosed: boolean;

  constructor({ tcp, outbound }: Snapshot, namespace: string, tools: ProxyTools) {
    this.#listeners = new HostPorts(namespace);
    for (const [name, listener] of tcp ?? []) {
      const make = once(() => tcpListener(listener, tools));
      const { host, port } = splitHostPort(name.replace(/^tcp:\/\//, ''));
      this.#listeners.add(host, port, make);
      if (listener.address !== undefined)
        this.#listeners.add(listener.address.address, listener.address.port, make);
    }
    let isClosed = false;
    for (const [name, resolved] of outbound) {
      const { host, port } = splitHostPort(name);
      if (host === '*') isClosed = true;
      else
        this.#listeners.add(
          host,
          port ?? 80,
          once(() => throughHttpRoutes(resolved, tools)),
        );
    }
    this.isClosed = isClosed;
  }

  /** The listener for a host and port; undefined when the mesh has none. */
  lookup(host: string, port: number): TcpListener | undefined {
    return this.#listeners.lookup(host, port)?.();
  }
}

function once(make: Make): Make {
  let made: TcpListener | undefined;
  return () => {
    made ??= make();
    return made;
  };
}
