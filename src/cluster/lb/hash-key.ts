import { LB_NAMESPACE } from '../../model/metadata.js';
import type { Host } from '../host.js';

/** Envoy: what stands for a host in a hash table: its `hash_key` in `envoy.lb`, else its name, else its address. */
export function hashKeyOf({ endpoint, hostname, address }: Host, useHostname: boolean): string {
  const own = endpoint.metadata[LB_NAMESPACE]?.['hash_key'];
  if (typeof own === 'string' && own !== '') return own;
  return useHostname && hostname !== '' ? hostname : address;
}
