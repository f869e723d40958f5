import { create, toBinary } from '@bufbuild/protobuf';
import type { Cluster } from '../model/cluster.js';
import type { Listener } from '../model/listener.js';
import { cluster, listener } from '../proto/xds.js';
import { encodeDiscovery } from './cluster-discovery.js';
import { encodeGrpcLbPolicy } from './grpc-lb-policy.js';
import { grpcClientSocket, grpcServerSocket } from './grpc-tls.js';
import { encodeListener } from './listener.js';
import { encodeOutlierDetection } from './outlier-detection.js';

/**
 * A cluster as gRPC clients take it: nothing that some of them would refuse (`transport_socket_matches`, TLS without a
 * certificate provider, kinds of clusters other than EDS, LOGICAL_DNS and aggregates), and nothing that none reads.
 */
export function encodeGrpcCluster(model: Cluster): Uint8Array {
  const { name, discovery, lbPolicy, circuitBreakers, outlierDetection, tls } = model;
  const message = create(cluster.ClusterSchema, {
    name,
    ...encodeDiscovery(discovery),
    ...encodeGrpcLbPolicy(lbPolicy),
    // gRFC A32: without a threshold 1024 requests at once are all there may be.
    circuitBreakers: { thresholds: [{ maxRequests: circuitBreakers.default.maxRequests }] },
  });
  if (outlierDetection !== undefined) message.outlierDetection = encodeOutlierDetection(outlierDetection);
  if (tls?.mode === 'mesh') message.transportSocket = grpcClientSocket(tls.subjectAltNames);
  return toBinary(cluster.ClusterSchema, message);
}

/** A listener as gRPC clients and servers take it: TLS by certificate providers. */
export function encodeGrpcListener(model: Listener): Uint8Array {
  const message = encodeListener(model);
  if (model.kind === 'inbound') {
    model.filterChains.forEach(({ tls }, index) => {
      const chain = message.filterChains[index];
      if (tls !== undefined && chain !== undefined)
        chain.transportSocket = grpcServerSocket(tls.requireClientCertificate);
    });
  }
  return toBinary(listener.ListenerSchema, message);
}
