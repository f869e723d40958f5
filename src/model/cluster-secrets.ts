import type { Cluster } from './cluster.js';
import type { UpstreamTls } from './tls.js';

const names = new WeakMap<Cluster, readonly string[]>();

/** The SDS secrets that the connections of a cluster need, each once. */
export function secretsOf(cluster: Cluster): readonly string[] {
  let found = names.get(cluster);
  if (found === undefined) {
    const all = [cluster, ...cluster.transportSocketMatches].flatMap(({ tls }) => namesIn(tls));
    found = [...new Set(all)];
    names.set(cluster, found);
  }
  return found;
}

function namesIn(tls: UpstreamTls | undefined): string[] {
  return [tls?.secrets?.certificate, tls?.secrets?.validation].filter((name) => name !== undefined);
}
