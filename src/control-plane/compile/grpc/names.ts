import { splitHostPort } from '../../../model/address.js';
import { coversHost, DEFAULT_DOMAIN } from '../../kinds/hosts.js';

/**
 * The name of the listener that a client means which asks for `name`: by a short name of a service (Istio: with the
 * namespace of the client), by a name that only a wildcard covers, or without a port. Undefined = there is none.
 */
export function listenerMeant(
  name: string,
  namespace: string,
  known: ReadonlyMap<string, unknown>,
): string | undefined {
  const { host, port } = splitHostPort(name.toLowerCase());
  for (const full of fullNames(host, namespace)) {
    const found = port === undefined ? withoutPort(full, known) : has(`${full}:${port}`, known);
    if (found !== undefined) return found;
  }
  if (port === undefined) return undefined;
  // The longest wildcard is the most specific one.
  return [...known.keys()]
    .filter(
      (one) => one.startsWith('*') && one.endsWith(`:${port}`) && coversHost(splitHostPort(one).host, host),
    )
    .sort((a, b) => b.length - a.length)[0];
}

/** Istio: `name`, `name.namespace` and `name.namespace.svc` are short for services of the mesh. */
function fullNames(host: string, namespace: string): readonly string[] {
  const dots = host.split('.').length - 1;
  const names = [host];
  if (dots === 0) names.push(`${host}.${namespace}.svc.${DEFAULT_DOMAIN}`);
  if (dots === 1) names.push(`${host}.svc.${DEFAULT_DOMAIN}`);
  if (dots === 2 && host.endsWith('.svc')) names.push(`${host}.${DEFAULT_DOMAIN}`);
  return names;
}

/** A target without a port means port 80, else the only one there is. */
function withoutPort(host: string, known: ReadonlyMap<string, unknown>): string | undefined {
  const usual = has(`${host}:80`, known);
  if (usual !== undefined) return usual;
  const ports = [...known.keys()].filter((one) => one.startsWith(`${host}:`));
  return ports.length === 1 ? ports[0] : undefined;
}

function has(name: string, known: ReadonlyMap<string, unknown>): string | undefined {
  return known.has(name) ? name : undefined;
}
