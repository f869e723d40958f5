import { parseClusterName } from '../../mesh/names.js';
import type { TablePlace } from './patch-routes.js';
import type { PatchContext } from './patches.js';

/** The port that a listener's name ends in: `host:80`, `0.0.0.0_80`; 0 = in none. */
export function listenerPort(name: string): number {
  return Number(/[:_](\d+)$/.exec(name)?.[1] ?? 0);
}

/** What the name of a route table says of where it is. */
export function tablePlace(name: string, context: PatchContext): TablePlace {
  // Istio: `https.<port>.<name of the port>.<name of the gateway>.<its namespace>`.
  const [, http, secure, portName, gateway, namespace] =
    /^(?:http\.(\d+)|https\.(\d+)\.([^.]+)\.([^.]+)\.([^.]+))/.exec(name) ?? [];
  if (http !== undefined) return { context, port: Number(http), names: [] };
  if (secure !== undefined) {
    return { context, port: Number(secure), names: [], portName, gateway: `${namespace}/${gateway}` };
  }
  const [, served] = /^inbound\|(\d+)\|\|$/.exec(name) ?? [];
  if (served !== undefined) return { context, port: Number(served), names: [] };
  const port = parseClusterName(name)?.port ?? (/^\d+$/.test(name) ? Number(name) : 0);
  // Istio has one table for all hosts of a port, which its number is the name of.
  return { context, port, names: port === 0 ? [] : [String(port)] };
}
