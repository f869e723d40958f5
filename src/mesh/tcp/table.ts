import { BlockList, isIP } from 'node:net';
import { splitHostPort } from '../../model/address.js';
import type { Snapshot } from '../../model/snapshot.js';
import { throughHttpRoutes } from './http-listener.js';
import { type TcpListener, tcpListener } from './listener.js';
import type { ProxyTools } from './route.js';

/** Kubernetes' domain, as short names are completed by. */
const DOMAIN = 'cluster.local';

const CIDR = /^([0-9a-f.:]+)\/(\d{1,3})$/i;

type Make = () => TcpListener;

/**
 * Which hosts and ports connections are taken for: by the names of the listeners, short ones completed as a pod's
 * resolver does, and by the addresses that listeners have. Listeners are put to work when they are first asked for.
 */
export class TcpTable {
  readonly #listeners = new Map<string, Make>();
  /** Names that begin with `*.`, longest first. */
  readonly #wildcards: { readonly suffix: string; readonly port: number; readonly key: string }[] = [];
  /** Networks that stand for a service, the narrowest first. */
  readonly #networks: {
    readonly network: BlockList;
    readonly bits: number;
    readonly port: number;
    readonly key: string;
  }[] = [];
  readonly #searches: readonly string[];
  /** Whether the configuration lets nothing out that it does not name. */
  readonly isClosed: boolean;

  constructor({ tcp, outbound }: Snapshot, namespace: string, tools: ProxyTools) {
    this.#searches = [`.${namespace}.svc.${DOMAIN}`, `.svc.${DOMAIN}`, `.${DOMAIN}`];
    for (const [name, listener] of tcp ?? []) {
      const make = once(() => tcpListener(listener, tools));
      const { host, port } = splitHostPort(name.replace(/^tcp:\/\//, ''));
      this.#add(host, port, make);
      if (listener.address !== undefined) this.#add(listener.address.address, listener.address.port, make);
    }
    let isClosed = false;
    for (const [name, resolved] of outbound) {
      const { host, port } = splitHostPort(name);
      if (host === '*') isClosed = true;
      else
        this.#add(
          host,
          port ?? 80,
          once(() => throughHttpRoutes(resolved, tools)),
        );
    }
    this.isClosed = isClosed;
    this.#networks.sort((a, b) => b.bits - a.bits);
    this.#wildcards.sort((a, b) => b.suffix.length - a.suffix.length);
  }

  /** The listener for a host and port; undefined when the mesh has none. */
  lookup(host: string, port: number): TcpListener | undefined {
    const bare = host.toLowerCase().replace(/\.$/, '');
    const names = [bare, ...this.#searches.map((suffix) => `${bare}${suffix}`)];
    for (const name of names) {
      const found = this.#find(`${name}:${port}`);
      if (found !== undefined) return found;
    }
    const covering = this.#wildcards.find(({ suffix, port: own }) => own === port && bare.endsWith(suffix));
    if (covering !== undefined) return this.#find(covering.key);
    const network = this.#networks.length === 0 ? undefined : this.#network(bare, port);
    return network === undefined ? undefined : this.#find(network);
  }

  #network(address: string, port: number): string | undefined {
    const family = isIP(address);
    if (family === 0) return undefined;
    const type = family === 6 ? 'ipv6' : 'ipv4';
    return this.#networks.find((one) => one.port === port && one.network.check(address, type))?.key;
  }

  /** What comes first stays: a listener for TCP goes before one for HTTP. */
  #add(host: string, port: number | undefined, make: Make): void {
    if (port === undefined) return;
    const key = `${host.toLowerCase()}:${port}`;
    if (this.#listeners.has(key)) return;
    this.#listeners.set(key, make);
    const [, address = '', bits = ''] = CIDR.exec(host) ?? [];
    if (bits !== '') {
      const network = new BlockList();
      network.addSubnet(address, Number(bits), isIP(address) === 6 ? 'ipv6' : 'ipv4');
      this.#networks.push({ network, bits: Number(bits), port, key });
    }
    if (host.startsWith('*.')) this.#wildcards.push({ suffix: host.slice(1).toLowerCase(), port, key });
  }

  #find(key: string): TcpListener | undefined {
    return this.#listeners.get(key)?.();
  }
}

function once(make: Make): Make {
  let made: TcpListener | undefined;
  return () => {
    made ??= make();
    return made;
  };
}
