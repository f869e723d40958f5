/** The domain of service names unless the mesh has another. */
export const DEFAULT_DOMAIN = 'cluster.local';

/**
 * The full name of a host as a document of the namespace means it: a name without dots is a service of that namespace
 * (Istio: ResolveShortnameToFQDN).
 */
export function fullHostName(host: string, namespace: string, domain = DEFAULT_DOMAIN): string {
  const name = host.toLowerCase();
  if (name === '*' || name === '' || name.includes('.') || name.includes(':')) return name;
  return `${name}.${namespace}.svc.${domain}`;
}

/** Whether a host name with an optional wildcard in front covers another one (Istio: host.Name.SubsetOf). */
export function coversHost(pattern: string, host: string): boolean {
  if (!pattern.startsWith('*')) return pattern === host;
  const suffix = pattern.slice(1);
  const name = host.startsWith('*') ? host.slice(1) : host;
  return name.length >= suffix.length && name.endsWith(suffix);
}
