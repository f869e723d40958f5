import { splitHostPort } from '../model/address.js';
import type { ResolvedOutbound } from '../model/snapshot.js';
import type { Service } from '../service/service.js';

/** Where a request for one origin goes. */
export interface OutboundTarget {
  readonly scheme: string;
  /** Host and, unless it is the scheme's default, port, as the caller wrote them. */
  readonly authority: string;
  readonly service: Service;
}

/** Origins remembered per table; a client that makes up hosts must not fill the memory. */
const MAX_ORIGINS = 10_000;

interface Wildcard {
  readonly text: string;
  readonly port: number;
  readonly service: Service;
}

/**
 * Which hosts are the mesh's: every domain of every outbound listener's route table, at that listener's port.
 * A host without a port means the scheme's default port or, when the mesh has no listener there, the one port that
 * the host has in the mesh, so that `http://reviews/` works whatever port the service declares.
 */
export class HostTable {
  readonly #exact = new Map<string, Service>();
  /** Host without port to its services; one entry only when the host has one port. */
  readonly #bare = new Map<string, Service | 'ambiguous'>();
  readonly #suffixes: Wildcard[] = [];
  readonly #prefixes: Wildcard[] = [];
  /** Takes what nobody else does, but for this machine itself: the listener `*`. */
  #others: Service | undefined;
  readonly #origins = new Map<string, OutboundTarget | undefined>();

  /** `hostOf` tells host and port that a listener stands for by its name; by default that is its name. */
  constructor(
    entries: Iterable<readonly [ResolvedOutbound, Service]>,
    hostOf: (name: string) => string = (name) => name,
  ) {
    for (const [resolved, service] of entries) this.#add(resolved, hostOf(resolved.listener.name), service);
    this.#suffixes.sort((a, b) => b.text.length - a.text.length);
    this.#prefixes.sort((a, b) => b.text.length - a.text.length);
  }

  /** The way to an origin; undefined when the mesh does not own it. */
  lookup(origin: string | URL): OutboundTarget | undefined {
    const key = typeof origin === 'string' ? origin : origin.origin;
    const known = this.#origins.get(key);
    if (known !== undefined || this.#origins.has(key)) return known;
    const found = this.#find(key);
    if (this.#origins.size >= MAX_ORIGINS) this.#origins.clear();
    this.#origins.set(key, found);
    return found;
  }

  #add({ routes }: ResolvedOutbound, name: string, service: Service): void {
    const own = splitHostPort(name);
    if (own.host === '*') {
      this.#others = service;
      return;
    }
    const port = own.port ?? 80;
    this.#addHost(own.host.toLowerCase(), port, service);
    for (const virtualHost of routes?.virtualHosts ?? []) {
      for (const domain of virtualHost.domains) this.#addDomain(domain.toLowerCase(), port, service);
    }
  }

  #addDomain(domain: string, port: number, service: Service): void {
    if (domain === '*') return;
    if (domain.startsWith('*')) this.#suffixes.push({ text: domain.slice(1), port, service });
    else if (domain.endsWith('*')) this.#prefixes.push({ text: domain.slice(0, -1), port, service });
    else {
      const own = splitHostPort(domain);
      this.#addHost(own.host, own.port ?? port, service);
    }
  }

  #addHost(host: string, port: number, service: Service): void {
    const key = `${host}:${port}`;
    if (!this.#exact.has(key)) this.#exact.set(key, service);
    const bare = this.#bare.get(host);
    if (bare === undefined) this.#bare.set(host, service);
    else if (bare !== service) this.#bare.set(host, 'ambiguous');
  }

  #find(origin: string): OutboundTarget | undefined {
    const separator = origin.indexOf('://');
    const scheme = separator < 0 ? 'http' : origin.slice(0, separator).toLowerCase();
    const authority = (separator < 0 ? origin : origin.slice(separator + 3))
      .replace(/\/.*$/, '')
      .toLowerCase();
    const { host, port } = splitHostPort(authority);
    const service = this.#service(host, port, scheme) ?? (isLoopback(host) ? undefined : this.#others);
    return service && { scheme, authority, service };
  }

  #service(host: string, port: number | undefined, scheme: string): Service | undefined {
    const wanted = port ?? (scheme === 'https' ? 443 : 80);
    const exact = this.#exact.get(`${host}:${wanted}`) ?? this.#wildcard(host, wanted);
    if (exact !== undefined || port !== undefined || scheme !== 'http') return exact;
    const bare = this.#bare.get(host);
    return bare === 'ambiguous' ? undefined : bare;
  }

  #wildcard(host: string, port: number): Service | undefined {
    // Envoy's order of virtual hosts: longest suffix, then longest prefix; `*` stands for at least one character.
    const matches = (entry: Wildcard) => entry.port === port && host.length > entry.text.length;
    const suffix = this.#suffixes.find((entry) => matches(entry) && host.endsWith(entry.text));
    return (suffix ?? this.#prefixes.find((entry) => matches(entry) && host.startsWith(entry.text)))?.service;
  }
}

/** Istio takes no traffic of a pod to itself. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host.endsWith('.localhost') || host === '::1' || host.startsWith('127.');
}

/** Whether a name could be one of the mesh's: without configuration, only such names wait for it. */
export function looksMeshed(origin: string | URL): boolean {
  const { hostname } = typeof origin === 'string' ? new URL(origin) : origin;
  if (hostname === 'localhost' || hostname.startsWith('[')) return false;
  return !hostname.includes('.') || /\.(mesh|svc|svc\.cluster\.local)$/.test(hostname);
}
