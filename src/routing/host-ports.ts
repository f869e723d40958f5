import { BlockList, isIP } from 'node:net';

/** Kubernetes' domain, as short names are completed by. */
const DOMAIN = 'cluster.local';

const CIDR = /^([0-9a-f.:]+)\/(\d{1,3})$/i;

/**
 * What hosts and ports of connections stand for: by name, short ones completed as a pod's resolver does, by wildcard, by
 * address, and by network.
 */
export class HostPorts<T> {
  readonly #values = new Map<string, T>();
  /** Names that begin with `*.`, longest first. */
  #wildcards: readonly { readonly suffix: string; readonly port: number; readonly value: T }[] = [];
  /** Networks that stand for a service, the narrowest first. */
  #networks: readonly {
    readonly network: BlockList;
    readonly bits: number;
    readonly port: number;
    readonly value: T;
  }[] = [];
  readonly #searches: readonly string[];

  constructor(namespace: string) {
    this.#searches = [`.${namespace}.svc.${DOMAIN}`, `.svc.${DOMAIN}`, `.${DOMAIN}`];
  }

  /** What comes first stays. */
  add(host: string, port: number | undefined, value: T): void {
    if (port === undefined) return;
    const key = `${host.toLowerCase()}:${port}`;
    if (this.#values.has(key)) return;
    this.#values.set(key, value);
    const [, address = '', bits = ''] = CIDR.exec(host) ?? [];
    if (bits !== '') {
      const network = new BlockList();
      network.addSubnet(address, Number(bits), isIP(address) === 6 ? 'ipv6' : 'ipv4');
      this.#networks = [...this.#networks, { network, bits: Number(bits), port, value }].sort(
        (a, b) => b.bits - a.bits,
      );
    }
    if (host.startsWith('*.')) {
      this.#wildcards = [...this.#wildcards, { suffix: host.slice(1).toLowerCase(), port, value }].sort(
        (a, b) => b.suffix.length - a.suffix.length,
      );
    }
  }

  /** What a host and port stand for; undefined = nothing. */
  lookup(host: string, port: number): T | undefined {
    const bare = host.toLowerCase().replace(/\.$/, '');
    const names = [bare, ...this.#searches.map((suffix) => `${bare}${suffix}`)];
    for (const name of names) {
      const found = this.#values.get(`${name}:${port}`);
      if (found !== undefined) return found;
    }
    const covering = this.#wildcards.find(({ suffix, port: own }) => own === port && bare.endsWith(suffix));
    if (covering !== undefined) return covering.value;
    const family = isIP(bare);
    if (family === 0) return undefined;
    const type = family === 6 ? 'ipv6' : 'ipv4';
    return this.#networks.find((one) => one.port === port && one.network.check(bare, type))?.value;
  }
}
