import { type SocketAddress, splitHostPort } from '../model/address.js';
import type { OriginalDestination } from '../model/cluster.js';
import { dig } from '../service/dig.js';
import type { Request } from '../service/service.js';

/** Envoy: the filter state that names the destination before anything else does. */
const FILTER_STATE = 'envoy.network.transport_socket.original_dst_address';

/**
 * Where a request to an original-destination cluster goes: what filter state, metadata or a header say, else what the
 * application dialled (Envoy's order). Undefined when nothing says.
 */
export function destinationOf(request: Request, discovery: OriginalDestination): SocketAddress | undefined {
  const found =
    fromText(request.context.filterState?.get(FILTER_STATE)) ??
    fromText(metadataOf(request, discovery)) ??
    fromText(discovery.header === undefined ? undefined : request.headers.get(discovery.header)) ??
    dialled(request);
  if (found === undefined || discovery.port === undefined) return found;
  return { address: found.address, port: discovery.port };
}

function metadataOf({ context }: Request, { metadata }: OriginalDestination): unknown {
  if (metadata === undefined) return undefined;
  return dig(context.dynamicMetadata?.get(metadata.namespace), metadata.keys);
}

/** Envoy: what is no address with a port says nothing. */
function fromText(text: unknown): SocketAddress | undefined {
  if (typeof text !== 'string' || text === '') return undefined;
  const { host, port } = splitHostPort(text);
  return host === '' || port === undefined ? undefined : { address: host, port };
}

function dialled({ context, authority, scheme }: Request): SocketAddress | undefined {
  const { host, port } = splitHostPort(context.destination ?? authority);
  if (host === '') return undefined;
  const implied = context.destinationPort ?? (scheme === 'https' ? 443 : 80);
  return { address: host.toLowerCase(), port: port ?? implied };
}
