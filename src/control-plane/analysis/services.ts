import type { AnalysisContext } from './analyzer.js';
import { NETWORKING } from './analyzer.js';
import { clusterDomain } from './mesh.js';
import { labelsAt, list, number, texts } from './plain.js';
import type { Labels } from './selectors.js';

/** A host that routes may go to: a service of the platform, or a host of a ServiceEntry. */
export interface KnownHost {
  readonly host: string;
  /** Namespaces that see it; `*` = all. */
  readonly scopes: readonly string[];
  readonly namespace: string;
  readonly ports: readonly number[];
  /** The workloads behind it. */
  readonly selector: Labels;
}

/** Everything that is a host, with who sees it. */
export interface KnownHosts {
  readonly all: readonly KnownHost[];
  /** Whether no document is a service, and nobody named one. */
  readonly isEmpty: boolean;
  /** The host as a document of a namespace means it. */
  find(host: string, namespace: string, exportTo?: readonly string[]): KnownHost | undefined;
}

/** The full name of a host as documents of the namespace mean it; names with dots and wildcards are full. */
export function toFullHost(host: string, namespace: string, domain: string): string {
  return host.startsWith('*') || host.includes('.') ? host : `${host}.${namespace}.svc.${domain}`;
}

/** Whether two hosts, wildcards or not, have a name in common (Istio: host.Name.Matches). */
export function hostsOverlap(left: string, right: string): boolean {
  const [a, b] = [left, right];
  if (a.startsWith('*') && b.startsWith('*')) {
    const [x, y] = [a.slice(1), b.slice(1)];
    return x.length < y.length ? y.endsWith(x) : x.endsWith(y);
  }
  if (a.startsWith('*')) return b.endsWith(a.slice(1));
  if (b.startsWith('*')) return a.endsWith(b.slice(1));
  return a === b;
}

/** The namespaces that `exportTo` means in a namespace; `*` stands for all. */
export function scopesOf(exportTo: readonly string[], namespace: string): readonly string[] {
  if (exportTo.length === 0 || exportTo.includes('*')) return ['*'];
  return [...new Set(exportTo.map((one) => (one === '.' ? namespace : one)))];
}

/** Collects the hosts of Services and ServiceEntries. */
export function knownHosts(context: AnalysisContext): KnownHosts {
  const domain = clusterDomain(context);
  const all: KnownHost[] = context.services.map(({ host, ports }) => ({
    host,
    ports,
    scopes: ['*'],
    namespace: host.split('.')[1] ?? '',
    selector: {},
  }));
  let isEmpty = all.length === 0;
  for (const { spec, namespace } of context.list('ServiceEntry', NETWORKING)) {
    isEmpty = false;
    const scopes = scopesOf(texts(spec, 'exportTo'), namespace);
    const ports = portsOf(list(spec, 'ports'), 'number');
    const selector = labelsAt(spec, 'workloadSelector', 'labels');
    for (const host of texts(spec, 'hosts')) {
      all.push({ host: toFullHost(host, namespace, domain), scopes, namespace, ports, selector });
    }
  }
  for (const { spec, namespace, name, annotations, isDefault } of context.list('Service', '')) {
    isEmpty &&= isDefault;
    const exported = annotations['networking.istio.io/exportTo'] ?? '';
    all.push({
      host: `${name}.${namespace}.svc.${domain}`,
      scopes: scopesOf(exported === '' ? [] : exported.split(',').map((one) => one.trim()), namespace),
      namespace,
      ports: portsOf(list(spec, 'ports'), 'port'),
      selector: labelsAt(spec, 'selector'),
    });
  }
  const byHost = new Map<string, KnownHost[]>();
  for (const known of all) byHost.set(known.host, [...(byHost.get(known.host) ?? []), known]);
  const wildcards = all.filter(({ host }) => host.startsWith('*'));
  return {
    all,
    isEmpty,
    find(host, namespace, exportTo = []) {
      const full = toFullHost(host, namespace, domain);
      // A short name in a document for other namespaces may be meant in each of them (Istio).
      const readers = exportTo.length === 0 ? [namespace] : scopesOf(exportTo, namespace);
      const sees = ({ scopes }: KnownHost) =>
        scopes.includes('*') || readers.some((reader) => scopes.includes(reader));
      const exact = byHost.get(full)?.findLast(sees);
      if (exact !== undefined) return exact;
      // Istio: wildcards are held against the host as it is written, a short name among them.
      const bare = host.startsWith('*') ? host.slice(1) : host;
      return wildcards.find(
        (known) =>
          (known.scopes.includes('*') || known.scopes.includes(namespace)) &&
          bare.endsWith(known.host.slice(1)),
      );
    },
  };
}

function portsOf(ports: readonly Parameters<typeof number>[0][], name: string): readonly number[] {
  return ports.flatMap((port) => number(port, name) ?? []);
}
