import { toBinary } from '@bufbuild/protobuf';
import type { VirtualHost } from '../model/route.js';
import { route } from '../proto/xds.js';
import { decodeMessage, defineResourceType, type ResourceType } from './codec.js';
import { checkBodySizes } from './direct-response.js';
import type { Path } from './path.js';
import { decodeVirtualHost, encodeVirtualHost } from './route.js';

/** What a table declares does not reach a host that comes by itself: no plug-ins, and the usual size of bodies. */
function decodeAlone(message: route.VirtualHost, path: Path): VirtualHost {
  const host = decodeVirtualHost(message, path, new Set());
  checkBodySizes({ name: '', virtualHosts: [host] }, undefined, path);
  return host;
}

/** VHDS. */
export const VIRTUAL_HOST: ResourceType<VirtualHost> = defineResourceType({
  typeUrl: 'type.googleapis.com/envoy.config.route.v3.VirtualHost',
  short: 'VHDS',
  complete: false,
  isNamespaced: true,
  isRemovable: true,
  parse: (bytes, path) => decodeMessage(route.VirtualHostSchema, bytes, path),
  nameOf: ({ name }) => name,
  decode: decodeAlone,
  encode: (host) => toBinary(route.VirtualHostSchema, encodeVirtualHost(host)),
});
