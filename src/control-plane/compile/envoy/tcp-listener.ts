import { toBinary } from '@bufbuild/protobuf';
import { encodeOutboundTcp } from '../../../codec/outbound-tcp.js';
import type { SocketAddress } from '../../../model/address.js';
import type { OutboundTcpListener } from '../../../model/listener.js';
import { listener } from '../../../proto/xds.js';
import type { WireResource } from '../../resources/resource-set.js';

/** The listener of a service that speaks no HTTP, on a socket of the Envoy. */
export function tcpListener(model: OutboundTcpListener, address: SocketAddress): WireResource {
  const name = `${address.address}_${address.port}`;
  // The socket is the Envoy's own, so that destinations tell nothing: chains for subnets can't be chosen.
  const filterChains = model.filterChains.filter(({ match }) => match.destinationRanges.length === 0);
  const message = encodeOutboundTcp({ ...model, name, address, filterChains });
  return { name, bytes: toBinary(listener.ListenerSchema, message) };
}
